"""Types of `heads.json` and `other_heads.json`; field names are the JSON keys.

A figure that cannot be computed is NaN in memory and null in JSON.
"""

from dataclasses import dataclass
from typing import Literal

from cache import Fingerprint
from heads.objectives import Scale


@dataclass(frozen=True, slots=True)
class PairMetrics:
    """A head's figures on preference pairs."""

    validation_pairs: int
    """Number of decided validation pairs."""
    validation_accuracy: float
    """Fraction of them in which the chosen response has the higher reward."""
    low: float
    """Lower end of the accuracy's 95 % interval."""
    high: float
    explained_variance: float | None = None
    """Mean square of the training pairs' feature differences along a direction; None for other heads."""
    explained_variance_ratio: float | None = None
    """That as a fraction of the same over all directions."""
    C: float | None = None
    """Selected inverse penalty of the Bradley-Terry head; None for other heads."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Rows, and how many of their ratings lie in the intervals."""

    rows: int
    fraction: float | None
    """None without rows."""


@dataclass(frozen=True, slots=True)
class IntervalMetrics:
    """The conformal interval of an objective, calibrated on rows of one data set or of all, and judged on others."""

    half_width: float | None
    """On the scale of the ratings, for a response of median leverage; None with too few rows."""
    calibration_rows: int
    covered: Covered
    """Ratings of held-out rows that calibrated nothing."""
    familiar: Covered | None
    """Those of responses that are like the rated ones; None without `heads.uncertainty`."""
    unfamiliar: Covered | None
    reason: str | None
    """Why there is no interval; None if there is one."""


@dataclass(frozen=True, slots=True)
class ObjectiveInterval:
    """The conformal intervals of one objective's ratings."""

    asked: float
    """Fraction of new ratings that they were made to contain."""
    all_sets: IntervalMetrics
    """The interval that a score is given: calibrated on the rows of all data sets together."""
    by_set: dict[str, IntervalMetrics]
    """Data set -> an interval calibrated on its rows alone."""


@dataclass(frozen=True, slots=True)
class ObjectiveHead:
    """The linear head of one objective. All figures on ratings are None where it was not fitted on ratings."""

    rows: int | None = None
    """Number of rated rows, training and validation together."""
    validation_rows: int | None = None
    alpha: float | None = None
    """Selected ridge penalty."""
    validation_mse: float | None = None
    """Mean squared error on the validation rows of the head that was fitted on the training rows alone."""
    pearson: float | None = None
    """Correlation of the same head's predictions with the validation ratings; None where either is constant."""
    validation_path: tuple[float | None, ...] = ()
    """Validation error for each alpha of the recipe, in rising order."""
    degrees_of_freedom: float | None = None
    """Effective degrees of freedom of the final fit."""
    condition: float | None = None
    """Condition number of the final fit's equations; None where it is infinite."""
    constant: bool | None = None
    """Whether all ratings are the same, so that the head says nothing."""
    interval: ObjectiveInterval | None = None
    pairs: PairMetrics | None = None
    """Figures on the recipe's pairs; None in a recipe with ratings."""


@dataclass(frozen=True, slots=True)
class UncertaintySummary:
    """The figures of `uncertainty.safetensors` that are small enough for `heads.json`."""

    quantile: float
    """Fraction of the validation rows below each threshold."""
    factors: int
    """Number of Cholesky factors: sets of objectives with the same rows and alpha."""
    thresholds: tuple[float | None, ...]
    """(factors,) leverage beyond which a response is unlike the rated ones; None where too few rows set it."""
    noise: tuple[float | None, ...]
    """(objectives,) variance of a rating around its head."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Result of `armorm fit-heads`: `heads.json`."""

    origin: Literal["ratings", "folder", "directions", "pairs"]
    """The origin of the heads: ratings; another model's folder; directions found in the pairs; or the pairs'
    preferences themselves, as one Bradley-Terry head."""
    objectives: dict[str, ObjectiveHead]
    skipped: dict[str, str]
    """Objective that was not fitted -> reason."""
    scales: dict[str, Scale]
    """Objective -> scale of its ratings; without those that have no ratings."""
    alphas: tuple[float, ...]
    """Penalties of the recipe, in rising order; empty without ratings."""
    rows: int
    """Number of rated responses."""
    train_pairs: int | None
    """Number of decided training pairs that the heads were made of; None where they were not."""
    rows_read: int
    """Responses whose features were read for this result."""
    rows_reused: int
    """Responses whose sums were saved already."""
    features: int
    """Length of a row of features: layers * hidden_size."""
    reading: Fingerprint
    """Fingerprint of the features that the heads read, part by part."""
    fitted_on: str
    """Which rows the heads were fitted on, as a sentence."""
    layer: int | None
    """Index of the layer that the heads read; None: all layers."""
    uncertainty: UncertaintySummary | None
    seconds: float
    peak_bytes: int
    """Largest memory of the process; with `--workers` that of the largest worker is added for each of them, where
    they are processes of this machine and not Ray's."""

    def alphas_by_objective(self) -> dict[str, float]:
        """Objective -> selected ridge penalty, for those that were fitted on ratings."""
        return {name: head.alpha for name, head in self.objectives.items() if head.alpha is not None}


@dataclass(frozen=True, slots=True)
class PairwiseHead:
    """A head of `[other_heads]` that gives a response one score."""

    validation_accuracy: float
    low: float
    """Lower end of the accuracy's 95 % interval."""
    high: float
    train_pairs: int
    validation_pairs: int
    score_temperature: float | None
    """Divisor that turns score gaps into log-odds; None where there is none."""
    details: dict[str, float]
    """Figures that only this kind has, such as the selected C."""
    seconds: float


@dataclass(frozen=True, slots=True)
class RatingsHead:
    """A head of `[other_heads]` for one objective."""

    rows: int
    """Number of rated rows, training and validation together."""
    validation_rows: int
    validation_mse: float | None
    pearson: float | None
    details: dict[str, float]
    """Figures that only this kind has, such as the selected alpha or the number of levels."""
    ridge_validation_mse: float | None
    """The ridge head's error on the same rows."""
    ridge_pearson: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class DistributionMetrics:
    """How well predicted distributions fit the ratings of held-out rows that chose nothing."""

    rows: int
    crps: float
    """Mean continuous ranked probability score, on the ridge's scale of 0 to 1; smaller is better."""
    crps_less_ridge: float
    """That, less the mean of `ridge_residuals` on the same rows."""
    crps_less_ridge_error: float | None
    """Standard error of that difference, over prompts; None with one prompt."""
    covered: float
    """Fraction of ratings in the middle 90 % of the distribution."""
    pit: tuple[float, ...]
    """(10,) histogram of the probability integral transform; 0.1 each where calibrated."""


@dataclass(frozen=True, slots=True)
class OtherHeads:
    """Result of fitting `[other_heads]`: `other_heads.json`."""

    pairwise: dict[str, PairwiseHead]
    """Kind -> head."""
    objectives: dict[str, dict[str, RatingsHead]]
    """Kind -> objective -> head."""
    skipped: dict[str, dict[str, str]]
    """Kind -> objective that was not fitted -> reason."""
    distributions: dict[str, dict[str, DistributionMetrics]]
    """Kind -> objective -> metrics; beside the kinds the ridge with Gaussian noise (`ridge_gaussian`) and with the
    residuals of calibration rows (`ridge_residuals`)."""
    layers: tuple[int, ...]
    """Layers that the heads read, as the backbone numbers them."""
    seconds: float


@dataclass(frozen=True, slots=True)
class RatingMetrics:
    """Metrics of one head on the validation ratings."""

    validation_mse: float | None
    pearson: float | None
