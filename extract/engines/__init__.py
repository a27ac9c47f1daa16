"""The ways to run the backbone. To add one: a module with a class like `engine.Engine`, and its line here."""

from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from extract.engines.engine import LoadEngine

ENGINES: "LazyRegistry[LoadEngine]" = LazyRegistry(
    {
        "packed": "extract.engines.packed:PackedEngine",
        "padded": "extract.engines.padded:PaddedEngine",
        "sequential": "extract.engines.sequential:SequentialEngine",
        "vllm": "extract.engines.vllm_engine:VllmEngine",
    }
)
"""Name -> class of the engine."""
