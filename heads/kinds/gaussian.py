"""A Gaussian head: a ridge with a variance of its own for every response, so that a rating has a normal distribution.

The idea is URM's (Lou et al. 2024, arXiv 2410.00847), whose head gives a mean and a standard deviation. On frozen
features the mean and the logarithm of the variance are linear: rating ~ N(w · f + b, s² (floor + exp(u · f + c))). Both
are fitted together, by maximum likelihood with penalties (heteroscedastic regression; Harvey 1976), from the ridge
onwards. With a large penalty of u all responses have one variance: the ridge with Gaussian noise, which is what the
features have to beat.
"""

import logging
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from heads.distributions import Distributions
from heads.kinds.bradley_terry import linear_scores
from heads.kinds.departures import best_departure
from heads.kinds.kind import Arrays, Division, Features, Ratings, RatingsFit, RatingsKind
from heads.kinds.principal import PrincipalDirections, RidgeStart
from heads.kinds.shared_coordinates import Part, RatedCoordinates, SharedCoordinates
from heads.objectives import Scale

log = logging.getLogger(__name__)

FLOOR = 1e-3
"""Smallest variance of a rating, as a fraction of the variance s² of the ridge's residuals: without a floor, the
likelihood of rows that a head predicts exactly grows without limit."""

MOST = 20.0
"""Largest logarithm of a variance over s²; a step of the search beyond it would overflow."""


class GaussianSettings(BaseModel):
    """`[other_heads.gaussian]`: for each objective a normal distribution whose variance depends on the response."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    ridge_alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-3, 7)), min_length=1
    )
    """Penalties of the mean to choose from, by the error of a ridge."""
    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-1, 6)), min_length=1
    )
    """Penalties of the logarithm of the variance to choose from, by the likelihood, beside one variance for all."""
    directions: int = Field(default=512, ge=1)
    """Largest number of leading principal directions of the features that these heads read."""


@dataclass(frozen=True, slots=True)
class GaussianSlopes:
    """Mean and variance over coordinates."""

    slopes: NDArray[np.float64]
    """(2, r): of the mean, and of the logarithm of the variance."""
    intercepts: NDArray[np.float64]
    """(2,)"""
    unit: float
    """s: the standard deviation in which the variance counts."""
    steps: int = 0
    """Number of L-BFGS steps taken."""

    def predict(self, coordinates: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means and standard deviations for coordinates (n, r). Shape (n,) each."""
        linear = (coordinates @ self.slopes.T.astype(np.float32)).astype(np.float64) + self.intercepts  # (n, 2)
        return linear[:, 0], deviations(linear[:, 1], self.unit)


def deviations(logarithms: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    """Standard deviations from logarithms (n,) of variances over unit², never below the floor. Shape (n,)."""
    return unit * np.sqrt(FLOOR + np.exp(np.minimum(logarithms, MOST)))


def negative_log_likelihood(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], targets: NDArray[np.float64]
) -> float:
    """Mean over rows (n,), in nats."""
    terms = np.log(deviation) + 0.5 * np.square((targets - mean) / deviation) + 0.5 * np.log(2.0 * np.pi)
    return float(np.mean(terms))


def constant_variance(start: RidgeStart) -> GaussianSlopes:
    """The ridge, with the variance of its residuals for all rows."""
    slopes = np.stack([start.slopes, np.zeros_like(start.slopes)])
    return GaussianSlopes(slopes, np.array([start.intercept, np.log1p(-FLOOR)]), start.deviation)


def fit_gaussian(
    coordinates: NDArray[np.float32],
    targets: NDArray[np.float64],
    penalties: NDArray[np.float64],
    start: RidgeStart,
    begin: GaussianSlopes | None = None,
    max_iter: int = 200,
) -> GaussianSlopes:
    """Mean and variance of the greatest likelihood, less half the penalties.

    Targets count in standard deviations of the ridge's residuals, so that the penalty of the mean is that of the ridge
    where all variances are alike.

    Args:
        coordinates: (n, r), each of variance about 1.
        targets: (n,)
        penalties: (2, r) penalties of the squared slopes of the mean and of the logarithm of the variance.
        start: the ridge.
        begin: where the search begins; None: at the ridge with one variance.
        max_iter: largest number of steps.
    """
    n, r = coordinates.shape
    unit = np.sqrt(np.array([[1.0], [0.5]]) * n + penalties)  # (2, r): second derivatives where all variances are 1
    constant_unit = np.sqrt(np.array([1.0, 0.5]) * n)  # (2,)
    base = np.array([start.intercept, 0.0])
    scale = np.array([start.deviation, 1.0])
    wanted = (targets - start.intercept) / start.deviation  # (n,)

    def loss(variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slopes = variables[: 2 * r].reshape(2, r) / unit
        linear = (coordinates @ slopes.T.astype(np.float32)).astype(np.float64)  # (n, 2)
        linear += variables[2 * r :] / constant_unit
        raw = np.exp(np.minimum(linear[:, 1], MOST))  # (n,)
        variance = FLOOR + raw
        residual = wanted - linear[:, 0]
        ratio = np.square(residual) / variance
        value = 0.5 * float((np.log(variance) + ratio).sum() + (penalties * slopes**2).sum())
        by_linear = np.stack([-residual / variance, 0.5 * (1.0 - ratio) * raw / variance])  # (2, n)
        by_linear[1, linear[:, 1] > MOST] = 0.0
        by_slopes = (by_linear.astype(np.float32) @ coordinates).astype(np.float64) + penalties * slopes
        return value / n, np.concatenate([(by_slopes / unit).ravel(), by_linear.sum(axis=-1) / constant_unit]) / n

    begin = constant_variance(start) if begin is None else begin
    first = np.concatenate(
        [(begin.slopes / scale[:, None] * unit).ravel(), (begin.intercepts - base) / scale * constant_unit]
    )
    options = {"maxiter": max_iter, "ftol": 1e-8, "gtol": 1e-6}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options=options)
    if found.nit >= max_iter:
        log.warning("the Gaussian head stopped after %d steps", max_iter)
    slopes = found.x[: 2 * r].reshape(2, r) / unit * scale[:, None]
    intercepts = base + found.x[2 * r :] / constant_unit * scale
    return GaussianSlopes(slopes, intercepts, start.deviation, int(found.nit))


class GaussianHead(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression with a log-linear variance, on the rows where the ratings are not NaN.

    Args:
        alpha: penalty of the weights of the logarithm of the variance; infinite: one variance for all.
        ridge_alpha: penalty of the weights of the mean.
        directions: largest number of principal directions of the features that are read.
        max_iter: largest number of L-BFGS steps.

    Attributes:
        coef_: (2, d) float64, weights of the mean and of the logarithm of the variance.
        intercept_: (2,) float64.
        unit_: standard deviation in which the variance counts.
        n_iter_: number of steps taken.
    """

    def __init__(
        self, alpha: float = 1.0, ridge_alpha: float = 1.0, directions: int = 512, max_iter: int = 200
    ) -> None:
        self.alpha = alpha
        self.ridge_alpha = ridge_alpha
        self.directions = directions
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> "GaussianHead":
        """Fit from features X (n, d) of any floating dtype and ratings y (n,), NaN where not rated.

        Raises:
            ValueError: there is no rating, X is not finite, or the lengths differ.
        """
        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32, np.float16])
        ratings = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        check_consistent_length(features, ratings)
        rated = ~np.isnan(ratings)
        if not rated.any():
            raise ValueError("a Gaussian head needs ratings, and there are none")
        basis = PrincipalDirections.of(features[rated], self.directions)
        coordinates, targets = basis.coordinates(features[rated]), ratings[rated]
        (start,) = RidgeStart.fit(coordinates, targets, basis, (self.ridge_alpha,))
        found = constant_variance(start)
        if not np.isinf(self.alpha):
            penalties = np.stack([basis.penalty(self.ridge_alpha), basis.penalty(self.alpha)])
            found = fit_gaussian(coordinates, targets, penalties, start, max_iter=self.max_iter)
        wide = basis.weights(found.slopes, found.intercepts)
        self.coef_, self.intercept_, self.unit_, self.n_iter_ = wide.coef, wide.intercept, found.unit, found.steps
        self.n_features_in_ = features.shape[-1]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Means. Shape (n,)."""
        return self._linear(X)[:, 0]

    def predict_distribution(self, X: ArrayLike) -> Distributions:
        """Distributions of the ratings of n rows."""
        linear = self._linear(X)
        return Distributions.normal(linear[:, 0], deviations(linear[:, 1], self.unit_))

    def _linear(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        features = check_array(X, dtype=[np.float64, np.float32, np.float16])
        return linear_scores(features, self.coef_.T) + self.intercept_


def _prepare(features: Features, train_rows: int, settings: GaussianSettings) -> SharedCoordinates:
    return SharedCoordinates.of(features, train_rows, settings.directions)


def _fit(
    shared: SharedCoordinates, targets: Ratings, division: Division, scale: Scale, settings: GaussianSettings
) -> RatingsFit:
    del scale  # a normal distribution needs no levels
    rated = RatedCoordinates.of(shared, targets, division)
    starts = rated.chosen_ridge(settings.ridge_alphas)
    of_mean = shared.basis.penalty(starts.train.alpha)  # (r,)

    def fit(part: Part, start: RidgeStart, alpha: float, begin: GaussianSlopes | None) -> GaussianSlopes:
        if np.isinf(alpha):
            return constant_variance(start)
        return fit_gaussian(*rated.part(part), np.stack([of_mean, shared.basis.penalty(alpha)]), start, begin)

    def judged(found: GaussianSlopes) -> float:
        coordinates, values = rated.part("choose")
        return negative_log_likelihood(*found.predict(coordinates), values)

    chosen = best_departure(
        settings.alphas, lambda alpha, begin: fit("train", starts.train, alpha, begin), judged, relative=False
    )
    final = fit("all", starts.all, chosen.alpha, None)
    mean, deviation = chosen.fit.predict(shared.coordinates[division.train :])  # (v,) each
    wide = shared.basis.weights(final.slopes, final.intercepts)
    arrays: Arrays = {
        "weight": wide.coef.astype(np.float32),
        "intercepts": wide.intercept,
        "unit": np.array([final.unit]),
    }
    details = {
        "directions": len(shared.basis.variances),
        "ridge_alpha": starts.train.alpha,
        "departure": 1.0 / chosen.alpha,
        "validation_log_loss": chosen.loss,
    }
    return RatingsFit(arrays, rated.where_rated(mean), details, Distributions.normal(mean, deviation))


def _distribution(features: Features, arrays: Arrays) -> Distributions:
    linear = linear_scores(features, arrays["weight"].T) + arrays["intercepts"]  # (m, 2)
    return Distributions.normal(linear[:, 0], deviations(linear[:, 1], float(arrays["unit"][0])))


def _scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = linear_scores(features, arrays["weight"][0]) + arrays["intercepts"][0]
    return scores


GAUSSIAN = RatingsKind(GaussianSettings, _fit, _scores, "weight", _prepare, _distribution)
