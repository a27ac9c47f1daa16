"""Rows' checksums are CRC-32 as zlib computes it, so that any reader can check them."""

import zlib

import numpy as np
import pytest

from cache.shard import row_checksums
from tests.cache.rows import some_keys


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint16])
@pytest.mark.parametrize("width", [1, 3, 7, 8, 63, 64, 1000, 4096])
def test_the_same_numbers_as_zlib(width: int, dtype: type[np.generic]) -> None:
    rng = np.random.default_rng(width)
    values = rng.integers(-100, 100, (5, width)).astype(dtype)
    keys, n_tokens = some_keys(0, 5), rng.integers(0, 1 << 30, 5).astype(np.int32)
    expected = [
        zlib.crc32(key.tobytes() + int(tokens).to_bytes(4, "little") + row.tobytes())
        for key, tokens, row in zip(keys, n_tokens, values, strict=True)
    ]
    assert row_checksums(keys, n_tokens, values).tolist() == expected
