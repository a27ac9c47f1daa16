"""The server's protocols; all give the same score. To add one: a module with `router`, and its line here."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from fastapi import APIRouter

    from export.server.scoring import Scoring

ROUTERS: "LazyRegistry[Callable[[Scoring], APIRouter]]" = LazyRegistry(
    {
        "rewards": "export.server.protocols.rewards:router",
        "profiles": "export.server.protocols.profiles:router",
        "openrlhf": "export.server.protocols.openrlhf:router",
        "vllm": "export.server.protocols.vllm:router",
        "sglang": "export.server.protocols.sglang:router",
        "classify": "export.server.protocols.classify:router",
        "llama_factory": "export.server.protocols.llama_factory:router",
        "text_embeddings_inference": "export.server.protocols.text_embeddings_inference:router",
    }
)
