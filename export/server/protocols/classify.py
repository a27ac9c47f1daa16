"""`POST /classify`, the path of vLLM and of SGLang: a request's keys say whose form it has."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Discriminator, Tag

from export.server.protocols import sglang, vllm
from export.server.scoring import Scoring

VLLM, SGLANG = "[vLLM]", "[SGLang]"
"""Tags of the two forms. Names in brackets are left out of the place of a mistake (`refusals`)."""


def form_of(body: object) -> str:
    """The form of a request: SGLang's alone has `text` or `input_ids`, and vLLM's alone `input` or `messages`."""
    if isinstance(body, dict) and body.keys() & {"text", "input_ids"} and not body.keys() & {"input", "messages"}:
        return SGLANG
    return VLLM


Body = Annotated[
    Annotated[vllm.ClassifyRequest, Tag(VLLM)] | Annotated[sglang.TextRequest, Tag(SGLANG)], Discriminator(form_of)
]


def router(scoring: Scoring) -> APIRouter:
    """The route of both protocols."""
    routes = APIRouter(tags=["vLLM", "SGLang"])

    @routes.post("/classify")
    async def classify(
        body: Body, request: Request
    ) -> vllm.ClassifyResponse | sglang.TextScore | list[sglang.TextScore]:
        """Score templated texts or token ids, in vLLM's form or SGLang's, or one conversation in vLLM's."""
        if isinstance(body, sglang.TextRequest):
            return await sglang.classify(scoring, body, request)
        return await vllm.classify(scoring, body, request)

    return routes
