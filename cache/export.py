"""Export of selected features as one plain file: NumPy, safetensors or Parquet, written batch by batch."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cache.durable import replacing
from cache.keys import KEY_BYTES, Keys
from cache.precision import to_storage
from cache.progress import Progress, silent
from cache.store import FeatureStore


def export_npy(store: FeatureStore, keys: Keys, folder: Path, progress: Progress = silent) -> list[Path]:
    """Write `features.npy` (n, layers, hidden_size), `keys.npy` (n, 16) uint8 and `n_tokens.npy` (n,) int32.

    Features keep the store's float16 or float32; bfloat16, which NumPy does not know, becomes float32, which holds
    it exactly.

    Args:
        store: the store to read.
        keys: distinct, in shard order (`FeatureStore.in_shard_order`).
        folder: where the files go; made if it is missing.
        progress: called with the number of features written.
    """
    dtype = _numpy_dtype(store)
    with replacing(folder / "features.npy") as file:
        shape = (len(keys), store.layers, store.hidden_size)
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for features in _batches(store, keys, progress):
            file.write(features.astype(dtype).data)
    for name, array in (("keys.npy", keys), ("n_tokens.npy", store.n_tokens(keys))):
        with replacing(folder / name) as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return [folder / name for name in ("features.npy", "keys.npy", "n_tokens.npy")]


def export_safetensors(store: FeatureStore, keys: Keys, folder: Path, progress: Progress = silent) -> list[Path]:
    """Write `features.safetensors`: features (n, layers, hidden_size) in the store's dtype, keys, n_tokens.

    Takes the arguments of `export_npy`. The file is laid out by hand, because the library needs all of it in memory.
    """
    names = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
    sizes = [store.row_bytes * len(keys), 4 * len(keys), KEY_BYTES * len(keys)]
    ends = np.cumsum([0, *sizes]).tolist()
    tensors = {
        "features": (names[store.dtype], [len(keys), store.layers, store.hidden_size]),
        "n_tokens": ("I32", [len(keys)]),
        "keys": ("U8", [len(keys), KEY_BYTES]),
    }
    header: dict[str, object] = {"__metadata__": store.description.about}
    for (name, (dtype, shape)), start, stop in zip(tensors.items(), ends, ends[1:], strict=False):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    path = folder / "features.safetensors"
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for features in _batches(store, keys, progress):
            file.write(to_storage(features, store.dtype).data)
        file.write(store.n_tokens(keys).astype("<i4").data)
        file.write(np.ascontiguousarray(keys).data)
    return [path]


def export_parquet(store: FeatureStore, keys: Keys, folder: Path, progress: Progress = silent) -> list[Path]:
    """Write `features.parquet`: key, n_tokens, feature as a list of layers * hidden_size float16 or float32.

    Takes the arguments of `export_npy`; bfloat16 becomes float32 here too.
    """
    dtype = _numpy_dtype(store)
    width = store.layers * store.hidden_size
    fields = [
        ("key", pa.binary(KEY_BYTES)),
        ("n_tokens", pa.int32()),
        ("feature", pa.list_(pa.from_numpy_dtype(dtype), width)),
    ]
    schema = pa.schema(fields, metadata=store.description.about)
    n_tokens = store.n_tokens(keys)
    path = folder / "features.parquet"
    with (
        replacing(path) as file,
        pq.ParquetWriter(file, schema, compression="none", use_dictionary=False, write_statistics=False) as writer,
    ):
        at = 0
        for features in _batches(store, keys, progress):
            some = slice(at, at + len(features))
            columns = [
                pa.array([key.tobytes() for key in keys[some]], type=pa.binary(KEY_BYTES)),
                pa.array(n_tokens[some]),
                pa.FixedSizeListArray.from_arrays(pa.array(features.astype(dtype).reshape(-1)), width),
            ]
            writer.write_table(pa.table(columns, schema=schema))
            at = some.stop
    return [path]


def _batches(store: FeatureStore, keys: Keys, progress: Progress) -> Iterator[NDArray[np.float32]]:
    done = 0
    for positions, features in store.stream(keys):
        if positions[0] != done or positions[-1] != done + len(positions) - 1:
            raise ValueError("the keys to export are not distinct, or not in shard order")
        done += len(positions)
        yield features
        progress("exporting", done, len(keys), "features")


def _numpy_dtype(store: FeatureStore) -> "np.dtype[np.generic]":
    return np.dtype("<f2" if store.dtype == "float16" else "<f4")


EXPORTS: dict[str, Callable[[FeatureStore, Keys, Path, Progress], list[Path]]] = {
    "npy": export_npy,
    "safetensors": export_safetensors,
    "parquet": export_parquet,
}
"""Name of a file format -> its export. To add one: a function above, and its line here."""
