"""vLLM's `POST /classify`, whose route is in `classify`, `POST /score` (`/v1/score`), and `GET /v1/models`.

Fields as in vLLM's entrypoints/pooling (classify/protocol.py, scoring/protocol.py). verl posts one templated text to
`/classify` and reads `data[-1].probs[-1]` (verl's reward loop). The number is the score itself, as vLLM returns it for
`use_activation: false` and for a regression; with `use_activation: true` it is 1 / (1 + exp(-score)).
"""

import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from export.server.inputs import (
    Conversation,
    Input,
    Many,
    Turns,
    Whole,
    conversation,
    user_turn,
    whole,
)
from export.server.refusals import RefusedRequest
from export.server.scoring import Scoring
from export.server.stand_in import StandIn
from gating.reward import Scored

LABEL = "LABEL_0"
"""Transformers' name for the single label of a model without label names."""


class _Request(BaseModel):
    """Fields of all requests.

    Unknown fields are ignored, as in vLLM; fields that would change the score are refused.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str | None = None
    """Another name than the model's is refused with 404."""
    use_activation: bool | None = Field(default=None, validation_alias=AliasChoices("use_activation", "activation"))
    """true: the logistic function of the score. `activation` is its older name."""
    truncate_prompt_tokens: None = None
    """Refused: a conversation is never cut."""
    chat_template: None = None
    """Refused: the model's own template is used."""
    chat_template_kwargs: None = None
    """Refused, as `chat_template`."""
    add_generation_prompt: Literal[False] | None = None
    """Refused: a conversation ends with the response."""
    continue_final_message: Literal[False] | None = None
    """Refused: a response is scored with the end of its turn."""


class ClassifyRequest(_Request):
    """One of `input` (templated texts, or token ids) and `messages` (one conversation)."""

    input: Whole | None = None
    """Text with its special tokens; a missing BOS is added where the model needs one."""
    messages: Turns | None = None
    """A conversation that ends with the assistant's turn."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "ClassifyRequest":
        if (self.input is None) == (self.messages is None):
            raise ValueError("give either input or messages")
        if self.input in ([], [[]]):
            raise ValueError("input is empty")
        return self


class ScoreRequest(_Request):
    """Prompts and responses: one prompt for all responses, or one for each.

    vLLM's other names for the two fields are accepted too.
    """

    text_1: str | Many[str] = Field(validation_alias=AliasChoices("text_1", "queries", "data_1"))
    """Prompts of one user turn."""
    text_2: str | Many[str] = Field(validation_alias=AliasChoices("text_2", "documents", "items", "data_2"))
    """Responses."""


class Usage(BaseModel):
    """Number of tokens in all conversations; a shared prompt counts each time."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class _Answer(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    usage: Usage


class Classification(BaseModel):
    """Score of one text."""

    model_config = ConfigDict(allow_inf_nan=False)

    index: int
    label: str = LABEL
    probs: list[float]
    num_classes: int = 1


class ClassifyResponse(_Answer):
    """Scores in the order of the input."""

    data: list[Classification]


class Score(BaseModel):
    """Score of one pair."""

    model_config = ConfigDict(allow_inf_nan=False)

    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreResponse(_Answer):
    """Scores in the order of the texts."""

    data: list[Score]


def router(scoring: Scoring) -> APIRouter:
    """The routes of this protocol."""
    routes = APIRouter(tags=["vLLM"])

    @routes.post("/score")
    @routes.post("/v1/score", include_in_schema=False)
    async def score(body: ScoreRequest, request: Request) -> ScoreResponse:
        """Score responses to a user's message."""
        _check_model(body.model, scoring.model_name)
        prompts, responses = _pairs(body)
        inputs = [Conversation(user_turn(text), response) for text, response in zip(prompts, responses, strict=True)]
        names = [f"text_2[{number}]" for number in range(len(inputs))]
        scored = await scoring.numbers(request, inputs, names)
        numbers = _numbers(scored, body.use_activation)
        data = [Score(index=index, score=number) for index, number in enumerate(numbers)]
        return ScoreResponse(data=data, **_head("score", scoring.model_name, scored))

    @routes.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model that is served."""
        model = {"id": scoring.model_name, "object": "model", "owned_by": "armorm", "max_model_len": scoring.max_tokens}
        return {"object": "list", "data": [model]}

    return routes


async def classify(scoring: Scoring, body: ClassifyRequest, request: Request) -> ClassifyResponse:
    """The answer to a request to `/classify` in vLLM's form."""
    _check_model(body.model, scoring.model_name)
    inputs = _inputs(body)
    names = ["messages"] if body.messages is not None else [f"input[{number}]" for number in range(len(inputs))]
    scored = await scoring.numbers(request, inputs, names)
    numbers = _numbers(scored, body.use_activation)
    data = [Classification(index=index, probs=[number]) for index, number in enumerate(numbers)]
    return ClassifyResponse(data=data, **_head("classify", scoring.model_name, scored))


def _check_model(requested: str | None, served: str) -> None:
    if requested is not None and requested != served:
        raise RefusedRequest(HTTPStatus.NOT_FOUND, f"the model served here is {served!r}: name it, or leave model out")


def _inputs(body: ClassifyRequest) -> list[Input]:
    if body.messages is not None:
        return [conversation(body.messages)]
    assert body.input is not None
    return whole(body.input)


def _pairs(body: ScoreRequest) -> tuple[list[str], list[str]]:
    prompts = [body.text_1] if isinstance(body.text_1, str) else body.text_1
    responses = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    if not prompts or not responses:
        raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, "text_1 and text_2 must have a text each, at least")
    if len(prompts) == 1:
        prompts = prompts * len(responses)
    if len(prompts) != len(responses):
        raise RefusedRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"text_1 has {len(prompts)} texts and text_2 {len(responses)}: give one text_1, or as many of both",
        )
    return prompts, responses


def _numbers(scored: Sequence[Scored | StandIn], use_activation: bool | None) -> list[float]:
    return [each.activated if use_activation else each.score for each in scored]


def _head(kind: str, model: str, scored: Sequence[Scored | StandIn]) -> dict[str, Any]:
    tokens = sum(each.tokens for each in scored)
    return {
        "id": f"{kind}-{uuid.uuid4().hex}",
        "created": int(time.time()),
        "model": model,
        "usage": Usage(prompt_tokens=tokens, total_tokens=tokens),
    }
