"""All ways by name, each with the distributions it needs."""

import importlib.metadata

from benchmarks.store.arrow_datasets import ArrowDatasets
from benchmarks.store.feature_store import SealedFeatures
from benchmarks.store.lance_table import LanceTable
from benchmarks.store.numpy_map import NumpyMap
from benchmarks.store.safetensors_shards import SafetensorsShards
from benchmarks.store.way import Way
from benchmarks.store.zarr_shards import ZarrShards
from cache import UserError

WAYS: tuple[Way, ...] = (
    NumpyMap(),
    SafetensorsShards(),
    ZarrShards(checksums=False),
    ZarrShards(checksums=True),
    LanceTable(),
    ArrowDatasets(),
    SealedFeatures("parquet"),
    SealedFeatures("hdf5"),
)
"""The first one is what ratios are to."""


def way(name: str) -> Way:
    """The way of a name."""
    return next(way for way in WAYS if way.name == name)


def versions() -> dict[str, str]:
    """Versions of all distributions that the ways need.

    Raises:
        UserError: one is not installed.
    """
    found = {}
    for package in dict.fromkeys(package for way in WAYS for package in way.packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise UserError(
                f"{package} is not installed: pip install --constraint constraints.txt '.[benchmarks]'"
            ) from None
    return found
