"""`POST /predict` of Hugging Face's text-embeddings-inference, for sequence classification.

By its documentation `inputs` is a text, a pair of texts, or a list of lists with one or two texts; the answer is a list
of labels with scores, or a list of those. Without `raw_scores` the number is the logistic function of the score, as
that server returns for a model with one label.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from export.server.inputs import Conversation, Input, Many, Templated, user_turn
from export.server.protocols.vllm import LABEL
from export.server.scoring import Scoring
from export.server.stand_in import StandIn
from gating.reward import Scored

OneOrTwo = Annotated[list[str], Field(min_length=1, max_length=2)]


class PredictRequest(BaseModel):
    """A single text is a templated conversation; a pair is a user's message and the response."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    inputs: (
        str | Annotated[list[str], Field(min_length=2, max_length=2)] | Annotated[Many[OneOrTwo], Field(min_length=1)]
    )
    raw_scores: bool = False
    """true: the score itself."""
    truncate: Literal[False] | None = None
    """true is refused: a conversation is never cut."""


class Prediction(BaseModel):
    """A label and its number."""

    model_config = ConfigDict(allow_inf_nan=False)

    score: float
    label: str = LABEL


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["text-embeddings-inference"])

    @routes.post("/predict")
    async def predict(body: PredictRequest, request: Request) -> list[Prediction] | list[list[Prediction]]:
        """Score a templated text, a pair, or a list of those."""
        one, items = _items(body.inputs)
        names = ["inputs"] if one else [f"inputs[{number}]" for number in range(len(items))]
        scored = await scoring.numbers(request, [_input(item) for item in items], names)
        predictions = [[_prediction(each, raw=body.raw_scores)] for each in scored]
        return predictions[0] if one else predictions

    return routes


def _items(inputs: str | list[str] | list[list[str]]) -> tuple[bool, list[list[str]]]:
    """Whether the request is a single item, and all items, of one or two texts each."""
    if isinstance(inputs, str):
        return True, [[inputs]]
    texts = [each for each in inputs if isinstance(each, str)]
    return bool(texts), [texts] if texts else [each for each in inputs if isinstance(each, list)]


def _input(item: list[str]) -> Input:
    return Templated(item[0]) if len(item) == 1 else Conversation(user_turn(item[0]), item[1])


def _prediction(scored: Scored | StandIn, *, raw: bool) -> Prediction:
    return Prediction(score=scored.score if raw else scored.activated)
