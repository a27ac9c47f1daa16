"""Keys: the digest of the token ids up to a position, and finding many of them at once."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

KEY_BYTES = 16
"""Bytes of a key."""

Keys = NDArray[np.uint8]
"""Keys (n, 16) uint8."""


def token_key(token_ids: NDArray[np.uint32]) -> bytes:
    """BLAKE2b digest, 16 bytes, of token ids written as little-endian 32-bit integers.

    16 bytes: among 10^12 sequences two would share a key with probability 10^-15.
    """
    return hashlib.blake2b(token_ids.astype("<u4", copy=False).tobytes(), digest_size=KEY_BYTES).digest()


def as_keys(keys: Iterable[bytes]) -> Keys:
    """Keys as one array. Shape (n, 16), uint8."""
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)


def key_column(column: "pl.Series") -> Keys:
    """A table's column of keys, without nulls, as an array. Shape (n, 16), uint8."""
    return as_keys(column.to_list())


def unique_keys(*columns: "pl.Series") -> tuple[Keys, list[NDArray[np.int64]]]:
    """The distinct keys of some columns, ascending, and each column as indices into them.

    Returns:
        keys: (m, 16) uint8
        places: for each column of length n an array (n,) int64, such that `keys[places]` is the column.
    """
    import polars as pl  # here, because the command line imports this module to print its help

    together = pl.concat([column.rename("key") for column in columns])
    codes = together.to_frame().with_columns(code=pl.col("key").rank("dense") - 1)["code"]
    first = pl.DataFrame({"key": together, "code": codes}).unique("code").sort("code")["key"]
    places = codes.to_numpy().astype(np.int64)
    cuts = np.cumsum([len(column) for column in columns])[:-1]
    return key_column(first), np.split(places, cuts)


class KeyIndex:
    """Positions of keys in a fixed list, by binary search: 32 bytes per key, no Python objects."""

    def __init__(self, keys: Keys) -> None:
        high, low = halves(keys)
        self._order = np.lexsort((low, high))  # (n,)
        self._high, self._low = high[self._order], low[self._order]

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Position of each key in the list the index was made from, -1 where it is missing. Shape (m,), int64."""
        places = find_halves(self._high, self._low, keys)
        return np.where(places < 0, -1, self._order[places]) if len(self._order) else places


def find_halves(high: NDArray[np.uint64], low: NDArray[np.uint64], keys: Keys) -> NDArray[np.int64]:
    """Place of each key among sorted ones, -1 where it is missing. Shape (m,), int64.

    Args:
        high: (n,) first halves of the sorted keys.
        low: (n,) their second halves.
        keys: (m, 16) uint8
    """
    wanted_high, wanted_low = halves(keys)
    at = np.searchsorted(high, wanted_high, side="left")  # (m,)
    found = np.full(len(keys), -1, dtype=np.int64)
    searching = np.arange(len(keys))
    while len(searching):  # more than one round only where two keys share their first 8 bytes
        searching = searching[at[searching] < len(high)]
        searching = searching[high[at[searching]] == wanted_high[searching]]
        hit = low[at[searching]] == wanted_low[searching]
        found[searching[hit]] = at[searching[hit]]
        searching = searching[~hit]
        at[searching] += 1
    return found


def sorted_keys(keys: Keys) -> Keys:
    """Keys in the order of their bytes. Shape (n, 16)."""
    high, low = halves(keys)
    return keys[np.lexsort((low, high))]


def halves(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The keys as two unsigned integers each, whose order is that of the bytes. Shapes (n,), (n,)."""
    pairs = np.ascontiguousarray(keys).view(">u8").astype(np.uint64)  # (n, 2)
    return pairs[:, 0], pairs[:, 1]
