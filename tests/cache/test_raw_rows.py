"""Rows read from their places are the rows that the format's library decodes, whichever are asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.formats import FORMATS, FormatName
from cache.precision import ITEM_BYTES, StoreDtype, to_storage
from cache.raw_rows import GAP_BYTES, RawRows
from cache.shard import Places, ShardIndex
from tests.cache import rows as made

WIDTH = 1024
ROWS = 300
"""Three row groups of float16, five of float32."""


def write(path: Path, shard_format: FormatName, dtype: StoreDtype) -> None:
    values = np.random.default_rng(0).standard_normal((ROWS, WIDTH), dtype=np.float32)
    index = ShardIndex(made.some_keys(0, ROWS), np.arange(ROWS, dtype=np.int32), np.zeros(ROWS, np.uint32))
    with path.open("wb") as file:
        FORMATS[shard_format].write(file, index, to_storage(values, dtype), {"dtype": dtype})


@pytest.mark.parametrize("shard_format", made.FORMATS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sets(st.integers(0, ROWS - 1)), also=st.integers(0, ROWS), count=st.integers(0, ROWS))
def test_a_row_lies_where_the_reader_says(
    tmp_path: Path, shard_format: FormatName, dtype: StoreDtype, rows: set[int], also: int, count: int
) -> None:
    path = tmp_path / "shard"
    if not path.exists():
        write(path, shard_format, dtype)
    wanted = np.array(sorted(rows | set(range(also, min(also + count, ROWS)))), dtype=np.int64)
    reader = FORMATS[shard_format].open(path, dtype, WIDTH)
    places = reader.places()
    assert places is not None
    with RawRows(path, places, dtype, WIDTH) as raw:
        read = raw.read(wanted)
    assert read is not None
    assert read.tobytes() == reader.values(wanted).tobytes()
    assert read.shape == (len(wanted), WIDTH)
    reader.close()


@pytest.mark.parametrize("shard_format", made.FORMATS)
def test_a_file_that_ends_early_has_no_such_row(tmp_path: Path, shard_format: FormatName) -> None:
    path = tmp_path / "shard"
    write(path, shard_format, "float16")
    reader = FORMATS[shard_format].open(path, "float16", WIDTH)
    places = reader.places()
    reader.close()
    assert places is not None
    path.write_bytes(path.read_bytes()[: int(places.offsets[-1]) + 7 * WIDTH * ITEM_BYTES["float16"] - 1])
    start = int(places.starts[-2])
    with RawRows(path, places, "float16", WIDTH) as raw:
        assert raw.read(np.arange(start, start + 6)) is not None
        assert raw.read(np.arange(start, start + 7)) is None
        assert raw.read(np.array([start, start + 6])) is None


@pytest.mark.parametrize("offset", [-1, -(1 << 62), 1 << 40])
def test_a_place_that_no_file_has_is_none(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "shard"
    path.write_bytes(bytes(4 * GAP_BYTES))
    with RawRows(path, Places(np.array([0, 4]), np.array([offset])), "float32", 8) as raw:
        assert raw.read(np.arange(1)) is None
        assert raw.read(np.array([], dtype=np.int64)) is not None
