"""The server's own protocol: `POST /v1/rewards` scores conversations, with all terms of each score."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from export.results import SteeringEffect
from export.server.chosen_rewards import ChosenRewards, numbers, scaled_rewards
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
from export.server.steering import NameOrProfile, steering_of
from gating.profile import Mode, Weights
from gating.reward import Scored, ScoreUncertainty
from gating.reward_scales import ScaledRewards


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


class RewardsRequest(ChosenRewards):
    """Conversations to be scored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    conversations: Many[ConversationRequest] = Field(min_length=1)
    decomposition: bool | None = None
    """false: no terms of the scores; left out: true, but where `objectives` says what is wanted."""
    profile: NameOrProfile | None = None
    """Whose weights count: the name of a profile of the folder, 'gate' for the gate's own, or a profile, with the keys
    of its file. Left out: that of `--profile`, or else the gate's."""
    weights: Weights | None = None
    """In place of a profile: objective -> weight."""
    weight_mode: Mode | None = None
    """How the weights meet the gate's; left out: they are added."""

    @field_validator("conversations", mode="before")
    @classmethod
    def _few_parts(cls, given: object) -> object:
        """Refuse too many turns and responses before they are looked at one by one."""
        rows = given if isinstance(given, list) else []
        lists = [part for row in rows if isinstance(row, dict) for part in row.values() if isinstance(part, list)]
        if (parts := sum(map(len, lists))) > MOST_ITEMS:
            raise ValueError(f"{parts:,} turns and responses, more than the {MOST_ITEMS:,} of a request")
        return given

    @model_validator(mode="after")
    def _scale_of_something(self) -> "RewardsRequest":
        if self.objectives is None and (self.scale is not None or self.debiased is not None):
            key = "scale" if self.scale is not None else "debiased"
            raise ValueError(f"{key} says nothing without objectives: name these too")
        return self


class ObjectiveTerm(BaseModel):
    """One objective's part in a score: contribution = coefficient x reward - verbosity penalty."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    name: str
    reward: float
    """Prediction of the head, on the scale of its target."""
    adjusted: float
    """The reward with verbosity taken out: contribution = coefficient x adjusted, to rounding, for any coefficient."""
    coefficient: float
    """The gate's weight for this prompt, or a profile's in its place."""
    gain: float
    """coefficient x reward"""
    verbosity_penalty: float
    """coefficient x lambda x verbosity"""
    contribution: float
    """gain - verbosity_penalty; the contributions sum to the score, but for a profile's veto."""
    std: float | None
    """Standard error of the reward; null where the model holds no uncertainty."""
    contribution_std: float | None
    """Standard error of the contribution; null likewise."""
    leverage: float | None
    """Leverage of the response among the rows that the head learned from; null likewise."""
    leverage_place: float | None
    """Fraction of the head's validation rows with a smaller leverage; null also where too few tell."""
    interval: tuple[float, float] | None
    """Ends of the interval of a new rating, in the unit of the reward; null where too few ratings or none set it."""


class Reward(BaseModel):
    """The reward of one response."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    score: float
    score_std: float | None
    """Standard error of the score, under the weights as they are and before a veto; null where the model holds no
    uncertainty."""
    unfamiliar: bool | None
    """Whether the response is unlike all rated rows; null also where too few validation rows tell."""
    coverage: float | None
    """Fraction of new ratings that the intervals were made to contain; null where the model holds none."""
    tokens: int
    """Length of the whole conversation, the prompt included."""
    prompt_tokens: int
    objectives: list[ObjectiveTerm] | None = None
    """Left out if the request turned the decomposition off, or named the rewards that it wants."""
    rewards: dict[str, float] | None = None
    """Name -> reward on the request's scale, in the order of the request's `objectives`; left out without these."""
    steering: SteeringEffect | None = None
    """Changes that a profile made; left out without one, and with `objectives`."""


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

    @routes.post("/v1/rewards", response_model_exclude_unset=True)
    async def rewards(body: RewardsRequest, request: Request) -> RewardsResponse:
        """Score conversations, term by term.

        A response that cannot be scored has an error in its place, and the others their rewards; where none can,
        the answer is 422.
        """
        grouped = [_conversations(each, f"conversations[{number}]") for number, each in enumerate(body.conversations)]
        steering = steering_of(scoring.profiles, scoring.steering, body.profile, body.weights, body.weight_mode)
        scaled = None
        if body.objectives is not None:
            scaled = scaled_rewards(scoring.scales, body, body.objectives, steered=steering is not None)
        results = await scoring.each(request, [one for group in grouped for one in group], steering)
        refused = [result for result in results if isinstance(result, Unusable)]
        if len(refused) == len(results):
            raise RefusedRequest(refused[0].status, f"no response can be scored; the first: {refused[0].sentence}")
        terms = scaled is None if body.decomposition is None else body.decomposition
        rewards = [_reward(result, scoring.objectives, terms=terms) for result in results]
        if scaled is not None:
            _add_chosen(rewards, results, scaled)
        left = iter(rewards)
        conversations = [ConversationRewards(responses=[next(left) for _ in group]) for group in grouped]
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
    known = result.uncertainty
    reward = Reward(
        score=result.score,
        score_std=None if known is None else known.score_std,
        unfamiliar=None if known is None else known.unfamiliar,
        coverage=None if result.intervals is None else result.intervals.coverage,
        tokens=result.tokens,
        prompt_tokens=result.prompt_tokens,
    )
    if terms:
        reward.objectives = _terms(result, objectives)
        if result.steered is not None:
            reward.steering = SteeringEffect.of(result, objectives)
    return reward


def _add_chosen(
    rewards: Sequence[Reward | Refusal], results: Sequence[Scored | Unusable], scaled: ScaledRewards
) -> None:
    """Put the chosen rewards beside each score."""
    values = iter(numbers([result for result in results if isinstance(result, Scored)], scaled).tolist())
    for reward in rewards:
        if isinstance(reward, Reward):
            reward.rewards = dict(zip(scaled.names, next(values), strict=True))


def _terms(scored: Scored, objectives: tuple[str, ...]) -> list[ObjectiveTerm]:
    columns: dict[str, list[Any]] = {
        "reward": scored.rewards.tolist(),
        "adjusted": scored.adjusted.tolist(),
        "coefficient": scored.coefficients.tolist(),
        "gain": scored.gains.tolist(),
        "verbosity_penalty": scored.penalties.tolist(),
        "contribution": scored.contributions.tolist(),
        **_errors(scored.uncertainty, len(objectives)),
        "interval": [None] * len(objectives) if scored.intervals is None else scored.intervals.pairs(),
    }
    return [
        ObjectiveTerm(name=name, **dict(zip(columns, values, strict=True)))
        for name, *values in zip(objectives, *columns.values(), strict=True)
    ]


def _errors(known: ScoreUncertainty | None, k: int) -> dict[str, list[Any]]:
    if known is None:
        return dict.fromkeys(("std", "contribution_std", "leverage", "leverage_place"), [None] * k)
    return {
        "std": known.reward_std.tolist(),
        "contribution_std": known.contribution_std.tolist(),
        "leverage": known.leverage.tolist(),
        "leverage_place": known.places,
    }
