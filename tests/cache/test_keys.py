"""Keys depend on every token, and are found among many."""

import hashlib

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cache.keys import KeyIndex, as_keys, key_column, token_key, unique_keys


def test_a_key_is_blake2b_of_little_endian_32_bit_ids() -> None:
    ids = np.array([1, 256, 128255], dtype=np.uint32)
    expected = hashlib.blake2b(bytes([1, 0, 0, 0, 0, 1, 0, 0, 0xFF, 0xF4, 1, 0]), digest_size=16).digest()
    assert token_key(ids) == expected


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True), st.lists(st.binary(min_size=16, max_size=16)))
def test_find_agrees_with_a_dictionary(stored: list[bytes], asked: list[bytes]) -> None:
    places = {key: place for place, key in enumerate(stored)}
    found = KeyIndex(as_keys(stored)).find(as_keys(asked + stored))
    assert found.tolist() == [places.get(key, -1) for key in asked + stored]


def test_keys_that_share_their_first_half_are_unique_row_name() -> None:
    stored = [b"same8byt" + bytes([0] * 7 + [last]) for last in (5, 3, 9, 1)]
    found = KeyIndex(as_keys(stored)).find(as_keys([stored[2], stored[0], b"same8byt" + bytes([0] * 7 + [4])]))
    assert found.tolist() == [2, 0, -1]


def test_columns_of_keys_become_distinct_ascending_keys_and_indices_into_them() -> None:
    a, b, c = (bytes([first]) + bytes(15) for first in (1, 2, 200))
    one, other = pl.Series("one", [c, a, c]), pl.Series("other", [b])
    keys, (of_one, of_other) = unique_keys(one, other)
    assert [key.tobytes() for key in keys] == [a, b, c]
    assert np.array_equal(keys[of_one], key_column(one))
    assert np.array_equal(keys[of_other], key_column(other))
    assert of_one.dtype == np.int64
