"""Results of explaining, scoring and exporting. Field names are the keys of their JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gating.settings import Verbosity

if TYPE_CHECKING:
    from gating.reward import Scored, ScoreUncertainty


@dataclass(frozen=True, slots=True)
class RewardUncertainty:
    """The uncertainty of one objective's reward."""

    std: float
    """Standard error of the reward."""
    leverage: float
    """Leverage of the response among the rows that the head learned from."""
    leverage_place: float | None
    """Fraction of the head's validation rows with a smaller leverage; None where too few tell."""

    @classmethod
    def of(cls, known: "ScoreUncertainty", number: int) -> "RewardUncertainty":
        """That of one of a score's objectives."""
        place = float(known.leverage_place[number])
        std, leverage = float(known.reward_std[number]), float(known.leverage[number])
        return cls(std, leverage, None if math.isnan(place) else place)


@dataclass(frozen=True, slots=True)
class Rating:
    """A reward on the scale of the objective's ratings."""

    value: float
    std: float | None
    """Its standard error; None without uncertainty."""
    interval: tuple[float, float] | None
    """Ends of the interval of a new rating; None where there is none."""
    low: float
    """Lowest rating of the scale."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One objective's part in a score."""

    name: str
    reward: float
    """Prediction of the head, before debiasing."""
    coefficient: float
    """The gate's weight for the prompt, or a profile's in its place."""
    lambdas: Annotated[dict[str, float], Field(alias="lambda")]
    """Variable -> lambda of the objective on it."""
    gain: float
    """coefficient x reward"""
    penalties: dict[str, float]
    """Variable -> coefficient x lambda x value of the variable."""
    verbosity_penalty: float
    """Sum of the penalties, in order."""
    contribution: float
    """gain - verbosity_penalty; the contributions sum to the score, but for a profile's veto."""
    uncertainty: RewardUncertainty | None = None
    """None where the model holds no uncertainty."""
    interval: tuple[float, float] | None = None
    """Ends of the interval of a new rating, in the unit of the reward; None where too few rows or none set it."""
    rating: Rating | None = None
    """None where the scale of the ratings is not known."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is taken out of the rewards."""

    name: str
    """An objective, or measured in the response."""
    value: float
    """The objective's reward, thousands of tokens, or log(1 + number of marks)."""
    penalty: float
    """Sum over the objectives of what it takes from their contributions."""


@dataclass(frozen=True, slots=True)
class GateWeights:
    """Spread of the coefficients over objectives."""

    logit_scale: float
    """Sum of the coefficients."""
    entropy: float
    """1: equal weights, 0: one objective."""
    top_share: float
    """Fraction of the weight on the strongest objective."""


@dataclass(frozen=True, slots=True)
class ScoreDistribution:
    """A distribution of the score: a mixture of what the objectives' heads of one kind say, with the gate's weights."""

    mean: float
    std: float
    """Standard deviation: what each objective leaves open, and how far the objectives disagree."""
    low: float
    """5 % quantile."""
    median: float
    high: float
    """95 % quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringEffect:
    """Changes that a profile made to a score; the weights and contributions beside it are the steered ones."""

    profile: str
    gate_score: float
    """Score under the gate's own weights."""
    gate_weights: dict[str, float]
    gate_contributions: dict[str, float]
    """Contributions under the gate's own weights, which sum to `gate_score`."""
    veto: float
    """The score less the sum of the contributions: 0, or what the profile's cap takes from the score."""
    vetoed: tuple[str, ...]
    """Objectives whose rewards are below the profile's thresholds."""

    @classmethod
    def of(cls, scored: "Scored", objectives: Sequence[str]) -> "SteeringEffect | None":
        """The part of a profile in a score; None where it has none."""
        steered = scored.steered
        if steered is None:
            return None
        return cls(
            profile=steered.profile,
            gate_score=steered.gate_score,
            gate_weights=dict(zip(objectives, scored.weights.tolist(), strict=True)),
            gate_contributions=dict(zip(objectives, steered.gate_contributions.tolist(), strict=True)),
            veto=steered.veto,
            vetoed=steered.vetoed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A score and its terms."""

    prompt: str
    response: str
    score: float
    score_std: float | None
    """Standard error of the score, under the weights as they are; None where the model holds no uncertainty."""
    unfamiliar: bool | None
    """Whether the response is unlike all rated rows; None also where too few validation rows tell."""
    coverage: float | None
    """Fraction of new ratings that the intervals were made to contain; None where the model holds none."""
    objectives: tuple[Term, ...]
    """In the order of the heads."""
    response_tokens: int
    verbosity: tuple[Variable, ...]
    """In the order of the transform; empty where nothing is taken out."""
    gain: float
    """Sum of the gains."""
    verbosity_penalty: float
    """Sum of the penalties."""
    gate: GateWeights
    distributions: dict[str, ScoreDistribution] = field(default_factory=dict)
    """Kind of head -> its distribution of the score; empty where a run has no such heads, and for a folder."""
    steering: SteeringEffect | None = None
    """Changes that a profile made; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScores:
    """Result of scoring a file; all figures count rows but `responses`."""

    rows: int
    scored: int
    bad: int
    """Rows without a score."""
    reused: int
    """Rows that the output held already."""
    responses: int
    """Responses scored by this run."""
    pairs: int
    """Scored rows with a chosen and a rejected response."""
    chosen_wins: int
    """Pairs of which the chosen response has the higher score."""
    ties: int
    """Pairs of two equal scores."""
    accuracy: float | None
    """Fraction of the pairs of which the chosen response wins; None without pairs."""
    bad_rows: tuple[int, ...]
    """Numbers, from 1, of the first rows without a score."""
    output: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """Result of writing a folder."""

    folder: str
    bytes: int
    """Size of all weights."""
    uncertainty_bytes: int | None
    """Size of the tensors that standard errors are computed from; None where the folder holds none."""
    weights: str
    """'copy' or 'link'."""
    objectives: tuple[str, ...]
    verbosity: Verbosity
    profiles: tuple[str, ...]
    """Names of the profiles that requests can name."""
    suites: tuple[str, ...]
    """Suites whose results the model card shows."""
    largest_difference: float | None
    """Largest difference of a score from the pipeline's, relative to the sizes of its terms; None without a check."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScore:
    """Score of one conversation; all but the first four are None where only the score is wanted.

    Those of the uncertainty are None too where the model holds none.
    """

    prompt: str
    response: str
    score: float
    tokens: int
    """Length of prompt and response together."""
    rewards: dict[str, float] | None = None
    adjusted_rewards: dict[str, float] | None = None
    weights: dict[str, float] | None = None
    contributions: dict[str, float] | None = None
    score_std: float | None = None
    """Standard error of the score, under the weights as they are."""
    unfamiliar: bool | None = None
    """Whether the response is unlike all rated rows; None also where too few validation rows tell."""
    reward_std: dict[str, float] | None = None
    contribution_std: dict[str, float] | None = None
    leverage: dict[str, float] | None = None
    """Leverage of the response among the rows that each head learned from."""
    leverage_place: dict[str, float | None] | None = None
    """Fraction of each head's validation rows with a smaller leverage; None where too few tell."""
    coverage: float | None = None
    """Fraction of new ratings that the intervals were made to contain; None where the model holds none."""
    interval: dict[str, tuple[float, float] | None] | None = None
    """Ends of the interval of a new rating, in the unit of the reward; None where too few rows set it."""
    steering: SteeringEffect | None = None
    """Changes that a profile made; None without one."""
