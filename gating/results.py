"""The content of `gating.json`, and metrics that the room's functions return. Field names are the keys of the file.

Figures that cannot be computed are NaN in memory and null in the file.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gating.collapse import GateSummary
from gating.moments import ReferenceMoments


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of a gate on the validation pairs at one step."""

    step: int
    train_loss: float
    """Loss of the step's training batch."""
    loss: float
    accuracy: float
    """Fraction of decided pairs judged right; a tie of the scores counts as wrong, as it does in the suites."""


@dataclass(frozen=True, slots=True)
class SeedMetrics:
    """Metrics of one seed at its best step."""

    seed: int
    step: int
    train_loss: float
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Seeds:
    """Metrics of all seeds."""

    kept: int
    """The seed whose gate was selected."""
    accuracy_mean: float
    accuracy_spread: float | None
    """Standard deviation of the seeds' accuracies; None for a single seed."""
    each: tuple[SeedMetrics, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """An accuracy, or a difference of two, with its 95 % bootstrap interval over prompts."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RuleMetrics:
    """One rule on the decided validation pairs; a tie of the scores counts as wrong."""

    accuracy: float
    low: float
    high: float
    lead: Interval
    """Lead over equal weights."""
    score_temperature: float | None
    """Divides score gaps so that their logistic function is a probability; None where no value does."""


@dataclass(frozen=True, slots=True)
class Ties:
    """Number of tied pairs in each split."""

    train: int
    validation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gating:
    """Result of training the gate and its baselines."""

    lambdas: Annotated[dict[str, dict[str, float]], Field(alias="lambda")]
    """Variable -> objective -> multiple of the variable that is subtracted from its reward."""
    correlation_before: dict[str, dict[str, float | None]]
    """Variable -> objective -> their correlation on the reference set, before debiasing."""
    correlation_after: dict[str, dict[str, float | None]]
    """Variable -> objective -> that correlation after debiasing; None for objectives that are variables."""
    correlation_before_held_out: dict[str, dict[str, float | None]]
    """Variable -> objective -> correlation before debiasing on the validation responses of the reference sets."""
    correlation_after_held_out: dict[str, dict[str, float | None]]
    no_root: dict[str, str]
    """Objective -> why its correlations do not become zero."""
    verbosity: tuple[str, ...]
    """The variables that are taken out of the rewards, in the order of the tables above; empty for 'none'."""
    correlation: str
    """'spearman' or 'pearson'."""
    validation_accuracy: float
    validation_loss: float
    validation_pairs: int
    """Number of decided pairs."""
    train_pairs: int
    """Number of decided pairs."""
    ties: Ties
    uniform_validation_accuracy: float
    bradley_terry_validation_accuracy: float
    bradley_terry_C: float  # noqa: N815 - scikit-learn's name
    """Selected inverse penalty of the plain Bradley-Terry head."""
    rules: dict[str, RuleMetrics]
    rules_by_dataset: dict[str, dict[str, int | float]]
    """Pair set -> `pairs`, and rule -> accuracy."""
    single_objectives: dict[str, float]
    """Objective -> accuracy of its adjusted reward alone."""
    rule_weights: dict[str, dict[str, float]]
    """Rule -> objective -> weight, for rules with one set of weights."""
    best_step: int
    seeds: Seeds
    metrics: tuple[Metrics, ...]
    """Metrics of the selected seed at each evaluation."""
    tie_threshold: float | None
    """eta of the loss with ties; None for the loss without."""
    precision: str
    """Dtype of the hidden layers' products in training."""
    threads: int
    gate: GateSummary
    """The gate's weights on all prompts of validation pairs."""
    gate_by_dataset: dict[str, GateSummary]
    """Pair set -> the same on its own prompts."""
    warning: str | None
    """One sentence where the gate has collapsed or the pairs contradict the objectives."""
    reference: ReferenceMoments | None = None
    """Moments of rewards and scores on the reference set; None in files of earlier versions."""
    gate_seconds: float
    """Time that training the gate took."""
    seconds: float
