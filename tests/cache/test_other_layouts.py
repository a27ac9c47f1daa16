"""Shards whose bytes lie otherwise than this version puts them: decoded, and checked like any other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache import DamageError, FeatureStore, manifest
from cache.formats import FormatName
from cache.raw_rows import RawRows
from cache.sealed_shard import SealedShard, sha256
from cache.verify import verify
from tests.cache.rows import flip, new_store, seal, shard_path, some_keys

ROWS = 3000


def parquet(**options: Any) -> Callable[[Path], None]:
    """Writes a shard anew, as pyarrow does with these options."""

    def write(path: Path) -> None:
        table = pq.read_table(path)
        pq.write_table(table, path, **options)

    return write


def hdf5(**options: Any) -> Callable[[Path], None]:
    """Writes a shard's features anew, as h5py does with these options."""

    def write(path: Path) -> None:
        with h5py.File(path, "r+") as shard:
            values, attributes = shard["feature"][:], dict(shard["feature"].attrs)
            del shard["feature"]
            shard.create_dataset("feature", data=values, **options).attrs.update(attributes)

    return write


PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False}
LAYOUTS: dict[str, tuple[FormatName, Callable[[Path], None]]] = {
    "compressed": ("parquet", parquet(compression="zstd")),
    "dictionaries": ("parquet", parquet(compression="none")),
    "small pages": ("parquet", parquet(**PLAIN, data_page_size=1000, write_batch_size=64)),
    "small row groups": ("parquet", parquet(**PLAIN, row_group_size=7)),
    "newer pages": ("parquet", parquet(**PLAIN, data_page_version="2.0")),
    "checksums of pages": ("parquet", parquet(**PLAIN, write_page_checksum=True, write_page_index=True)),
    "chunks": ("hdf5", hdf5(chunks=(100, 4))),
    "compressed chunks": ("hdf5", hdf5(compression="gzip")),
}


def laid_out(root: Path, layout: str) -> tuple[FeatureStore, Path, np.ndarray]:
    """A store of one shard with another layout, which the manifest names as it is."""
    shard_format, write = LAYOUTS[layout]
    store = new_store(root, shard_format)
    sealed = seal(store, "a", 0, ROWS)
    path = shard_path(store, "a")
    write(path)
    entry = replace(store.entries[0], bytes=path.stat().st_size, sha256=sha256(path))
    manifest.rewrite(store.folder / manifest.FILE, [entry])
    return FeatureStore.open(root, store.fingerprint.digest), path, sealed


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_layout_is_read(tmp_path: Path, layout: str) -> None:
    store, _, sealed = laid_out(tmp_path, layout)
    wanted = np.random.default_rng(0).permutation(ROWS)[:700]
    assert np.array_equal(store.gather(some_keys(0, ROWS)[wanted]), sealed[wanted])
    assert np.array_equal(np.concatenate([features for _, features in store.stream(some_keys(0, ROWS))]), sealed)
    assert verify(store.folder).whole


@pytest.mark.parametrize("layout", ["small pages", "newer pages", "chunks"])
def test_damage_is_named_in_another_layout_too(tmp_path: Path, layout: str) -> None:
    store, path, sealed = laid_out(tmp_path, layout)
    flip(path, path.read_bytes().index(sealed[1234].reshape(-1)[:4].astype("<f2").tobytes()) + 3)
    with pytest.raises(DamageError, match=r"row \d+ of .* does not match its checksum|cannot be read"):
        store.gather(some_keys(0, ROWS))


def test_a_shard_has_the_bytes_that_version_0_2_gave_it(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    sealed = seal(store, "a", 0, ROWS)
    index = SealedShard(store.folder, store.entries[0], store.description).index()
    columns = {
        "key": pa.array([key.tobytes() for key in index.keys], type=pa.binary(16)),
        "n_tokens": pa.array(np.arange(ROWS), type=pa.int32()),
        "crc32": pa.array(index.checksums, type=pa.uint32()),
        "feature": pa.FixedSizeListArray.from_arrays(pa.array(sealed.astype("f2").reshape(-1)), store.row_bytes // 2),
    }
    table = pa.table(columns).replace_schema_metadata(store.description.about)
    pq.write_table(table, tmp_path / "before.parquet", **PLAIN, row_group_size=(256 << 10) // store.row_bytes)
    assert (tmp_path / "before.parquet").read_bytes() == shard_path(store, "a").read_bytes()


@pytest.mark.parametrize("shard_format", ["parquet", "hdf5"])
def test_what_this_version_writes_is_not_decoded(
    tmp_path: Path, shard_format: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path, shard_format)
    sealed = seal(store, "a", 0, ROWS)
    read = RawRows.read
    found: list[bool] = []

    def noted(self: RawRows, rows: Any) -> Any:
        stored = read(self, rows)
        found.append(stored is not None)
        return stored

    monkeypatch.setattr(RawRows, "read", noted)
    monkeypatch.setattr(h5py, "File", None)
    monkeypatch.setattr(pq, "ParquetFile", None)
    assert np.array_equal(store.gather(some_keys(0, ROWS)), sealed)
    assert found
    assert all(found)
