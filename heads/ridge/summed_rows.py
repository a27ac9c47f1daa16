"""The rows that saved statistics were made of, by which rows that came since are found.

`statistics.rows/` holds a file for each data set and split: a digest of every row, so that a data set that has grown
is read where it is new, and one that has lost or changed a row is summed again, since a sum does not forget.
"""

import hashlib
import logging
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache.durable import replacing
from cache.keys import KEY_BYTES, Keys

log = logging.getLogger(__name__)

FOLDER = "statistics.rows"


def row_digests(response_keys: Iterable[bytes], targets: NDArray[np.float64], buckets: NDArray[np.int64]) -> Keys:
    """BLAKE2b of all that a row's sums are made of but for the features.

    Args:
        response_keys: n keys of 16 bytes.
        targets: (n, k), NaN where not rated.
        buckets: (n,) index into `FRACTIONS`.

    Returns:
        (n, 16) uint8
    """
    rest = np.concatenate([targets, buckets[:, None].astype(np.float64)], axis=-1)  # (n, k + 1)
    digests = bytearray()
    for key, numbers in zip(response_keys, rest, strict=True):
        digests += hashlib.blake2b(key + numbers.tobytes(), digest_size=KEY_BYTES).digest()
    return np.frombuffer(digests, np.uint8).reshape(-1, KEY_BYTES)


def added_rows(before: Keys, now: Keys) -> NDArray[np.int64] | None:
    """Positions in `now` of the rows that were not there before; None if a row of before is gone.

    Equal rows count as often as they come.

    Args:
        before: (m, 16) uint8, digests of rows.
        now: (n, 16) uint8.
    """
    old, new = _counted(before), _counted(now)
    if old.join(new, on=["digest", "occurrence"], how="anti").height:
        return None
    added = new.join(old, on=["digest", "occurrence"], how="anti", maintain_order="left")
    return added["number"].to_numpy().astype(np.int64)


def _counted(digests: Keys) -> pl.DataFrame:
    """Rows by number, with how often each digest came before."""
    halves = np.ascontiguousarray(digests).view(np.uint64).reshape(-1, 2)  # (n, 2)
    frame = pl.DataFrame({"digest": pl.Series(halves[:, 0]), "rest": pl.Series(halves[:, 1])})
    return frame.with_row_index("number").select(
        "number",
        pl.struct("digest", "rest").alias("digest"),
        pl.int_range(pl.len()).over("digest", "rest").alias("occurrence"),
    )


def save_rows(folder: Path, rows: Mapping[str, Keys], current: Iterable[str]) -> None:
    """Write the digests of rows, and remove those of rows that no statistics are made of.

    Args:
        folder: of the statistics.
        rows: digest of a part (`Origin.rows`) -> digests of its rows (n, 16) uint8.
        current: digests of all parts.
    """
    for digest, keys in rows.items():
        content = keys.tobytes()
        with replacing(folder / FOLDER / _name(digest, content)) as file:
            file.write(content)
    kept = set(current)
    for path in _files(folder):
        if _part_of(path) not in kept:
            path.unlink()


def load_rows(folder: Path, digest: str) -> Keys | None:
    """The digests of a part's rows as (n, 16) uint8; None if they were not saved, or are damaged."""
    for path in _files(folder):
        if _part_of(path) == digest:
            content = path.read_bytes()
            if path.name == _name(digest, content) and len(content) % KEY_BYTES == 0:
                return np.frombuffer(content, np.uint8).reshape(-1, KEY_BYTES)
            log.warning("%s is damaged, so all rows that it stands for are summed again", path)
    return None


def _files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*"))


def _part_of(path: Path) -> str:
    return path.name.partition("-")[0]


def _name(digest: str, content: bytes) -> str:
    """The name of a part's file, which ends in a checksum of its content."""
    return f"{digest}-{zlib.crc32(content):08x}"
