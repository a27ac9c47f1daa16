"""LLaMA-Factory's `POST /v1/score/evaluation`, which its PPO trainer asks with `reward_model_type: api`.

Fields as in its api/protocol.py. Its trainer (train/ppo/ppo_utils.py) sends whole texts with their special tokens,
under the model name "model" whatever is served, and reads `scores`. Its own server does not check the name, and neither
is it checked here.
"""

import uuid
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from export.server.inputs import Many, Templated
from export.server.scoring import Scoring


class ScoreEvaluationRequest(BaseModel):
    """Texts to be scored."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str | None = None
    """Any name."""
    messages: Many[str] = Field(min_length=1)
    """Prompt and response in one text each, through the chat template, with special tokens."""
    max_length: None = None
    """Refused: a conversation is never cut."""


class ScoreEvaluationResponse(BaseModel):
    """Scores in the order of the texts."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: str
    object: Literal["score.evaluation"] = "score.evaluation"
    model: str
    scores: list[float]


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["LLaMA-Factory"])

    @routes.post("/v1/score/evaluation")
    async def score_evaluation(body: ScoreEvaluationRequest, request: Request) -> ScoreEvaluationResponse:
        """Score texts that are templated already."""
        names = [f"messages[{number}]" for number in range(len(body.messages))]
        scored = await scoring.numbers(request, [Templated(text) for text in body.messages], names)
        return ScoreEvaluationResponse(
            id=f"scoreval-{uuid.uuid4().hex}", model=scoring.model_name, scores=[each.score for each in scored]
        )

    return routes
