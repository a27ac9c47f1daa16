"""Types of `ablations.json`; field names are the JSON keys.

A figure that cannot be computed is NaN in memory and null in JSON.
"""

from dataclasses import dataclass

from heads.results import RatingMetrics


@dataclass(frozen=True, slots=True)
class Score:
    """Metrics of a variant's head on the validation rows."""

    rows: int
    """Number of training rows it was fitted on."""
    alpha: float
    mse: float | None
    pearson: float | None
    """None where the predictions or the ratings are constant."""


@dataclass(frozen=True, slots=True)
class FractionScore:
    """Metrics of a head that was fitted on a fraction of the training rows."""

    fraction: float
    rows: int
    alpha: float
    mse: float | None
    pearson: float | None


@dataclass(frozen=True, slots=True)
class WithoutDataset:
    """The heads without a data set's training rows."""

    skipped: dict[str, int]
    """Objective with too few training rows left -> their number."""
    objectives: dict[str, Score]
    """Objectives with fewer training rows, fitted again; all others keep their heads."""


@dataclass(frozen=True, slots=True)
class FromOthers:
    """Metrics of predicting an objective's ratings from the rewards of all other objectives."""

    mse: float | None
    pearson: float | None
    weights: dict[str, float]
    """Other objective -> weight of its reward, in standard deviations of both; the largest first."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Metrics of the run's own head, as in `heads.json`."""

    rows: int | None
    alpha: float | None
    validation_mse: float | None
    pearson: float | None


@dataclass(frozen=True, slots=True)
class AlphaPaths:
    """Validation errors along the grid of penalties."""

    alphas: tuple[float, ...]
    validation_mse: dict[str, tuple[float | None, ...]]
    """Objective -> error for each alpha."""


@dataclass(frozen=True, slots=True)
class HeadComparison:
    """Kinds of heads side by side, from results of other commands; empty where a command has not run."""

    pairs: dict[str, float]
    """Rule or kind -> accuracy on the validation pairs."""
    ratings: dict[str, dict[str, RatingMetrics]]
    """Kind -> objective -> metrics."""
    suites: dict[str, dict[str, float | None]]
    """Suite -> rule -> score."""


@dataclass(frozen=True, slots=True)
class Ablations:
    """Result of `armorm ablate`: `ablations.json`."""

    baseline: dict[str, Baseline]
    """Objective -> the run's own head."""
    train_rows: dict[str, int]
    """Objective -> number of its training rows."""
    datasets: dict[str, WithoutDataset]
    objectives: dict[str, FromOthers]
    alphas: AlphaPaths
    rows: dict[str, tuple[FractionScore, ...]]
    """Objective -> its learning curve, the smallest fraction first."""
    layers: dict[str, dict[str, Score]]
    """Layer, as the backbone numbers it -> objective -> a head that reads this layer alone."""
    heads: HeadComparison
    seconds_by_variant: dict[str, float]
    seconds: float
