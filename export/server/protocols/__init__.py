"""The server's protocols, one module each; all give the same score."""

from collections.abc import Callable

from fastapi import APIRouter

from export.server.protocols import openrlhf, rewards, text_embeddings_inference, vllm
from export.server.scoring import Scoring

ROUTERS: tuple[Callable[[Scoring], APIRouter], ...] = (
    rewards.router,
    openrlhf.router,
    vllm.router,
    text_embeddings_inference.router,
)
"""To add a protocol: a module with a function `router`, and its line here."""
