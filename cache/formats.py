"""The file formats of shards. To add one: a module with a class like `ShardFormat`, and its line here."""

from typing import Literal

from cache.hdf5_shard import Hdf5Format
from cache.parquet_shard import ParquetFormat
from cache.shard import ShardFormat

FormatName = Literal["parquet", "hdf5"]

FORMATS: dict[FormatName, ShardFormat] = {"parquet": ParquetFormat(), "hdf5": Hdf5Format()}
