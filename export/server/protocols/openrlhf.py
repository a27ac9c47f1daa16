"""OpenRLHF's remote reward model: `POST /get_reward`.

Compatible with its clients (openrlhf/utils/remote_rm_utils.py) and its own server (openrlhf/cli/serve_rm.py): requests
hold whole texts with their special tokens. Older clients send only `query` and read only `rewards`; newer ones log the
lists in `extra_logs`, which here are the objectives' rewards, so that a training run shows its trade-offs.
"""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from export.server.inputs import Many, Templated
from export.server.scoring import Scoring
from export.server.stand_in import StandIn

UNSCORABLE = "unscorable"
"""Key of the marks of texts without a score, among the objectives."""


class GetRewardRequest(BaseModel):
    """`prompts` and `labels` change nothing: a text says itself where its prompt ends."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    query: Many[str] = Field(min_length=1)
    """Prompt and response in one text each, through the chat template, with special tokens."""
    prompts: list[Any] | None = None
    labels: list[Any] | None = None


class GetRewardResponse(BaseModel):
    """A number for each text, in order."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    rewards: list[float]
    """The scores."""
    scores: list[float]
    """The scores again, by which OpenRLHF can filter prompts."""
    extra_logs: dict[str, list[float]]
    """Objective -> its raw reward for each text; with `--unscorable` also `unscorable`: 1 for a text that has no score,
    and that number in every list, else 0."""


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["OpenRLHF"])

    @routes.post("/get_reward")
    async def get_reward(body: GetRewardRequest, request: Request) -> GetRewardResponse:
        """Score texts that are templated already."""
        names = [f"query[{number}]" for number in range(len(body.query))]
        scored = await scoring.numbers(request, [Templated(text) for text in body.query], names)
        scores = [each.score for each in scored]
        logs = {
            name: [float(each.rewards[number]) for each in scored] for number, name in enumerate(scoring.objectives)
        }
        if scoring.gives_numbers:
            logs = {UNSCORABLE: [float(isinstance(each, StandIn)) for each in scored]} | logs
        return GetRewardResponse(rewards=scores, scores=scores, extra_logs=logs)

    return routes
