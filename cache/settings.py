"""The folder of the stores, and how a store writes its values."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cache.formats import FormatName
from cache.precision import StoreDtype

SHARD_SECONDS = 300.0
"""Default of `store.shard_seconds`."""


class StoreSettings(BaseModel):
    """The `[store]` table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    root: Path = Path("features")
    """Folder that holds one store per fingerprint; recipes with the same backbone settings share it."""
    dtype: StoreDtype = "float16"
    """float16 holds every bfloat16 activation below 65,504 without loss (8 significant bits in 11)."""
    format: FormatName = "parquet"
    """Format of the shards. A store keeps the format it was begun with, and refuses a recipe that names the other;
    both are read equally fast here, and parquet by more tools."""
    shard_rows: int = Field(default=8192, ge=1)
    """A shard is sealed with the pack that brings it to this many rows."""
    shard_seconds: float = Field(default=SHARD_SECONDS, gt=0)
    """A shard that takes the device longer is sealed in parts, so that a crash loses no more work than this; a single
    pack (extract.pack_tokens) that takes longer is a part by itself."""
