"""SGLang's forms for reward models: its own `POST /classify`, and `POST /v1/embeddings` in OpenAI's.

Fields as in its EmbeddingReqInput (srt/managers/io_struct.py) and EmbeddingRequest
(srt/entrypoints/openai/protocol.py): a reward is an embedding of one number. verl's reward loop posts one templated
text to `/v1/embeddings` and reads `data[-1].embedding[-1]`. SGLang does not check the model's name, and neither is it
checked here. `/classify` is vLLM's path too: its route is in `classify`.
"""

import base64
import struct
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, model_validator

from export.server.inputs import Many, TokenRow, Whole, is_one, whole
from export.server.protocols.vllm import Usage
from export.server.refusals import RefusedRequest
from export.server.scoring import Scoring


class TextRequest(BaseModel):
    """A request to `/classify`: one of `text` and `input_ids`.

    Unknown fields are ignored, such as the sampling parameters that SGLang takes here; fields that would change the
    score are refused.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    text: str | Many[str] | None = None
    """Text with its special tokens; a missing BOS is added where the model needs one."""
    input_ids: TokenRow | Many[TokenRow] | None = None
    """A whole conversation, or many."""
    rid: str | Many[str] | None = None
    """Names for the answers: one for each text, or the beginning of all."""
    image_data: None = None
    """Refused: a reward model reads text alone."""
    video_data: None = None
    """Refused likewise."""
    audio_data: None = None
    """Refused likewise."""
    input_embeds: None = None
    """Refused: the model embeds its tokens itself."""
    embed_overrides: None = None
    """Refused likewise."""
    lora_path: None = None
    """Refused: there are no adapters."""
    dimensions: Literal[1] | None = None
    """A score has one."""
    token_indices_to_pool: None = None
    """Refused: a score is read where the model reads it."""
    is_cross_encoder_request: Literal[False] | None = None
    """Refused: a pair of texts is no conversation."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "TextRequest":
        if (self.text is None) == (self.input_ids is None):
            raise ValueError("give either text or input_ids")
        if self.text == [] or self.input_ids in ([], [[]]):
            raise ValueError("it is empty")
        return self


class MetaInfo(BaseModel):
    """Facts about one answer."""

    id: str
    finish_reason: None = None
    prompt_tokens: int
    """Number of tokens of the conversation."""


class TextScore(BaseModel):
    """The score of one text."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    embedding: list[float]
    """The score alone."""
    meta_info: MetaInfo


class EmbeddingsRequest(BaseModel):
    """A request in OpenAI's form for embeddings."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    input: Whole
    """Text with its special tokens, or token ids; or many."""
    model: str | None = None
    """Any name."""
    encoding_format: Literal["float", "base64"] | None = None
    """base64: little-endian float32, which OpenAI's own client asks for and decodes; left out: float."""
    dimensions: Literal[1] | None = None
    """A score has one."""
    lora_path: None = None
    """Refused: there are no adapters."""
    embed_overrides: None = None
    """Refused: the model embeds its tokens itself."""

    @model_validator(mode="after")
    def _not_empty(self) -> "EmbeddingsRequest":
        if self.input in ([], [[]]):
            raise ValueError("input is empty")
        return self


class Embedding(BaseModel):
    """The score of one text."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    object: Literal["embedding"] = "embedding"
    embedding: list[float] | str
    """The score alone; a text for base64."""
    index: int


class EmbeddingsResponse(BaseModel):
    """Scores in the order of the input."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


def router(scoring: Scoring) -> APIRouter:
    """The route in OpenAI's form."""
    routes = APIRouter(tags=["SGLang"])

    @routes.post("/v1/embeddings")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> EmbeddingsResponse:
        """Score templated texts or token ids; each score is an embedding of one number."""
        inputs = whole(body.input)
        names = [f"input[{number}]" for number in range(len(inputs))]
        scored = await scoring.numbers(request, inputs, names)
        tokens = sum(each.tokens for each in scored)
        return EmbeddingsResponse(
            data=[
                Embedding(embedding=_embedding(each.score, body.encoding_format), index=index)
                for index, each in enumerate(scored)
            ],
            model=scoring.model_name,
            usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
        )

    return routes


async def classify(scoring: Scoring, body: TextRequest, request: Request) -> TextScore | list[TextScore]:
    """The answer to a request to `/classify` in SGLang's form: an object for one text, a list for a list."""
    name, given = ("text", body.text) if body.text is not None else ("input_ids", body.input_ids)
    assert given is not None
    inputs, one = whole(given), is_one(given)
    ids = _ids(body.rid, len(inputs), one=one)
    names = [name] if one else [f"{name}[{number}]" for number in range(len(inputs))]
    scored = await scoring.numbers(request, inputs, names)
    answers = [
        TextScore(embedding=[each.score], meta_info=MetaInfo(id=rid, prompt_tokens=each.tokens))
        for rid, each in zip(ids, scored, strict=True)
    ]
    return answers[0] if one else answers


def _ids(rid: str | Sequence[str] | None, count: int, *, one: bool) -> list[str]:
    """The names of answers: those of the request, or new ones."""
    if rid is None:
        return [uuid.uuid4().hex for _ in range(count)]
    if isinstance(rid, str):
        return [rid] if one else [f"{rid}_{number}" for number in range(count)]
    if one or len(rid) != count or len(set(rid)) < count:
        raise RefusedRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"rid: give one text, or {count} different ones, one for each input"
        )
    return list(rid)


def _embedding(score: float, encoding_format: str | None) -> list[float] | str:
    return base64.b64encode(struct.pack("<f", score)).decode() if encoding_format == "base64" else [score]
