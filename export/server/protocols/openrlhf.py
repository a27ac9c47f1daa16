"""OpenRLHF's remote reward model: `POST /get_reward`.

Compatible with its clients (openrlhf/utils/remote_rm_utils.py) and its own server (openrlhf/cli/serve_rm.py): requests
hold whole texts with their special tokens. Older clients send only `query` and read only `rewards`; newer ones log the
lists in `extra_logs`, which here are the objectives' rewards, so that a training run shows its trade-offs.

`objectives`, `scale`, `debiased` and `weights` say what `rewards` are, in place of the score. Clients of OpenRLHF send
a fixed body, and so the URL of `--remote_rm_url` takes the same keys: `/get_reward?objectives=NAME&scale=unit`.
"""

from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from export.server.chosen_rewards import WeightedRewards, factors, numbers, scaled_rewards
from export.server.inputs import Many, Templated
from export.server.refusals import RefusedRequest
from export.server.scoring import Scoring
from export.server.stand_in import StandIn

UNSCORABLE = "unscorable"
"""Key of the marks of texts without a score, among the objectives."""


class InUrl(WeightedRewards):
    """Keys behind the path, named as in the body; another one is refused, since a typing error would be trained on."""

    model_config = ConfigDict(extra="forbid")


class GetRewardRequest(WeightedRewards):
    """`prompts` and `labels` change nothing: a text says itself where its prompt ends."""

    query: Many[str] = Field(min_length=1)
    """Prompt and response in one text each, through the chat template, with special tokens."""
    prompts: list[Any] | None = None
    labels: list[Any] | None = None


class GetRewardResponse(BaseModel):
    """A number for each text, in order."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    rewards: list[float]
    """The scores; or the one of `objectives`, or their weighted sum."""
    scores: list[float]
    """Copy of `rewards`, by which OpenRLHF can filter prompts."""
    extra_logs: dict[str, list[float]]
    """Name -> its reward for each text: those of `objectives`, then the model's others that can be had on the scale;
    with `--unscorable` also `unscorable`: 1 for a text that has no score, and that number in every list, else 0."""


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["OpenRLHF"])

    @routes.post("/get_reward")
    async def get_reward(
        body: GetRewardRequest, in_url: Annotated[InUrl, Query()], request: Request
    ) -> GetRewardResponse:
        """Score texts that are templated already."""
        asked = _one_of(body, in_url)
        steered = scoring.steering is not None
        scaled = scaled_rewards(scoring.scales, asked, asked.objectives, steered=steered)
        weights = factors(asked.weights, len(scaled.names))  # (m,)
        chosen = asked.objectives or []
        there = scoring.scales.available(asked.scale or "raw", debiased=bool(asked.debiased))
        logged = scaled_rewards(
            scoring.scales, asked, [*chosen, *(name for name in there if name not in chosen)], steered=steered
        )
        names = [f"query[{number}]" for number in range(len(body.query))]
        scored = await scoring.numbers(request, [Templated(text) for text in body.query], names)
        stand_in = np.array([isinstance(each, StandIn) for each in scored])  # (n,)
        values = numbers(scored, scaled)  # (n, m)
        scores = np.where(stand_in, values[:, 0], values @ weights).tolist()
        logs = dict(zip(logged.names, numbers(scored, logged).T.tolist(), strict=True))
        if scoring.gives_numbers:
            logs = {UNSCORABLE: stand_in.astype(float).tolist()} | logs
        return GetRewardResponse(rewards=scores, scores=scores, extra_logs=logs)

    return routes


def _one_of(body: WeightedRewards, in_url: WeightedRewards) -> WeightedRewards:
    """The keys of the body, or those of the URL.

    Raises:
        RefusedRequest: both have some, or there are weights of nothing.
    """
    if in_url.says_something and body.says_something:
        raise RefusedRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY, "body and URL both say which rewards are wanted: leave it to one of them"
        )
    asked = in_url if in_url.says_something else body
    if asked.weights is not None and asked.objectives is None:
        raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, "weights say nothing without objectives: name these too")
    return asked
