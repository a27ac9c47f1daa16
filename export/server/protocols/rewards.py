"""The server's own protocol: `POST /v1/rewards` scores conversations, with all terms of each score."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from export.server.inputs import (
    MOST_ITEMS,
    Conversation,
    Many,
    Turns,
    Unusable,
    as_prompt,
    conversation,
    user_turn,
)
from export.server.refusals import RefusedRequest
from export.server.scoring import Scoring
from gating.reward import Scored


class ConversationRequest(BaseModel):
    """A prompt with one response or many; or the turns of one conversation."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: str | Turns | None = None
    """The user's message, or all turns before the response."""
    responses: Annotated[Many[str], Field(min_length=1)] | None = None
    """Answers to the prompt; the prompt is computed once for all of them."""
    messages: Turns | None = None
    """In place of prompt and responses: turns, the last of them the assistant's."""

    @model_validator(mode="after")
    def _one_form(self) -> "ConversationRequest":
        if self.messages is None and (self.prompt is None or self.responses is None):
            raise ValueError("give prompt and responses, or messages")
        if self.messages is not None and (self.prompt is not None or self.responses is not None):
            raise ValueError("give prompt and responses, or messages, not both")
        return self


class RewardsRequest(BaseModel):
    """Conversations to be scored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    conversations: Many[ConversationRequest] = Field(min_length=1)
    decomposition: bool = True
    """false: only scores."""

    @field_validator("conversations", mode="before")
    @classmethod
    def _few_parts(cls, given: object) -> object:
        """Refuse too many turns and responses before they are looked at one by one."""
        rows = given if isinstance(given, list) else []
        lists = [part for row in rows if isinstance(row, dict) for part in row.values() if isinstance(part, list)]
        if (parts := sum(map(len, lists))) > MOST_ITEMS:
            raise ValueError(f"{parts:,} turns and responses, more than the {MOST_ITEMS:,} of a request")
        return given


class ObjectiveTerm(BaseModel):
    """One objective's part in a score: contribution = coefficient x reward - verbosity penalty."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    name: str
    reward: float
    """Prediction of the head, on the scale of its target."""
    coefficient: float
    """The gate's weight for this prompt."""
    gain: float
    """coefficient x reward"""
    verbosity_penalty: float
    """coefficient x lambda x verbosity"""
    contribution: float
    """gain - verbosity_penalty; the contributions sum to the score."""


class Reward(BaseModel):
    """The reward of one response."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    score: float
    tokens: int
    """Length of the whole conversation, the prompt included."""
    prompt_tokens: int
    objectives: list[ObjectiveTerm] | None = None
    """None if the request turned the decomposition off."""


class Refusal(BaseModel):
    """The reason why a response cannot be scored."""

    error: str


class ConversationRewards(BaseModel):
    """Rewards of one conversation's responses, in order."""

    responses: list[Reward | Refusal]


class RewardsResponse(BaseModel):
    """Rewards of all conversations, in order."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    refused: int
    """Number of responses with an error in place of a reward."""
    conversations: list[ConversationRewards]


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["armorm"])

    @routes.post("/v1/rewards", response_model_exclude_none=True)
    async def rewards(body: RewardsRequest, request: Request) -> RewardsResponse:
        """Score conversations, term by term.

        A response that cannot be scored has an error in its place, and the others their rewards; where none can,
        the answer is 422.
        """
        grouped = [_conversations(each, f"conversations[{number}]") for number, each in enumerate(body.conversations)]
        results = await scoring.each(request, [one for group in grouped for one in group])
        refused = [result for result in results if isinstance(result, Unusable)]
        if len(refused) == len(results):
            raise RefusedRequest(refused[0].status, f"no response can be scored; the first: {refused[0].sentence}")
        left = iter(results)
        conversations = [
            ConversationRewards(
                responses=[_reward(next(left), scoring.objectives, terms=body.decomposition) for _ in group]
            )
            for group in grouped
        ]
        return RewardsResponse(model=scoring.model_name, refused=len(refused), conversations=conversations)

    return routes


def _conversations(requested: ConversationRequest, name: str) -> list[Conversation]:
    if requested.messages is not None:
        return [conversation(requested.messages, f"{name}.messages")]
    assert requested.prompt is not None
    assert requested.responses is not None
    prompt = user_turn(requested.prompt) if isinstance(requested.prompt, str) else as_prompt(requested.prompt)
    return [Conversation(prompt, response) for response in requested.responses]


def _reward(result: Scored | Unusable, objectives: tuple[str, ...], *, terms: bool) -> Reward | Refusal:
    if isinstance(result, Unusable):
        return Refusal(error=result.sentence)
    return Reward(
        score=result.score,
        tokens=result.tokens,
        prompt_tokens=result.prompt_tokens,
        objectives=_terms(result, objectives) if terms else None,
    )


def _terms(scored: Scored, objectives: tuple[str, ...]) -> list[ObjectiveTerm]:
    coefficients = scored.weights.astype(np.float64)  # (k,)
    columns = (scored.rewards, coefficients, scored.gains, scored.penalties, scored.contributions)
    return [
        ObjectiveTerm(
            name=name,
            reward=reward,
            coefficient=coefficient,
            gain=gain,
            verbosity_penalty=penalty,
            contribution=contribution,
        )
        for name, reward, coefficient, gain, penalty, contribution in zip(
            objectives, *(column.tolist() for column in columns), strict=True
        )
    ]
