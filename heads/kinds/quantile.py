"""Quantile heads: several quantiles of an objective's ratings, each linear in the features.

The idea is QRM's (Dorka 2024, arXiv 2409.10164): a reward is a distribution, given by its quantiles under the pinball
loss (Koenker and Bassett 1978). The loss is smoothed by convolution (Fernandes, Guerre and Horta 2021; He, Pan, Tan and
Zhou 2023), which makes it convex with a gradient that L-BFGS can follow, and quantiles that cross are sorted.

The penalty is on the distance of a quantile's weights from those of a ridge. With a large one all quantiles are
parallel: the ridge with the quantiles of its residuals, which is what the features have to beat.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
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

CURVATURE = 0.25
"""Second derivative of the smoothed loss by a quantile, in standard deviations, that preconditions the slopes: between
that of a median (0.4) and that of a quantile in the tails (0.1)."""


class QuantileSettings(BaseModel):
    """`[other_heads.quantile]`: for each objective, quantiles of its ratings that are linear in the features."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95), min_length=2
    )
    """Levels of the quantiles, rising."""
    ridge_alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-3, 7)), min_length=1
    )
    """Penalties of the ridge from which the quantiles depart, to choose from."""
    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-1, 6)), min_length=1
    )
    """Penalties of the departures from the ridge to choose from, beside no departure."""
    bandwidth: float = Field(default=0.2, gt=0)
    """Width over which the pinball loss is smoothed, in standard deviations of the ridge's residuals."""
    directions: int = Field(default=512, ge=1)
    """Largest number of leading principal directions of the features that these heads read."""

    @model_validator(mode="after")
    def _rising(self) -> "QuantileSettings":
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must rise, each named once")
        return self


@dataclass(frozen=True, slots=True)
class QuantileSlopes:
    """Quantiles that are linear in coordinates."""

    slopes: NDArray[np.float64]
    """(q, r)"""
    intercepts: NDArray[np.float64]
    """(q,)"""
    steps: int = 0
    """Number of L-BFGS steps taken."""

    def predict(self, coordinates: NDArray[np.float32]) -> NDArray[np.float64]:
        """Quantiles for coordinates (n, r), which may cross. Shape (n, q)."""
        return (coordinates @ self.slopes.T.astype(np.float32)).astype(np.float64) + self.intercepts


def pinball(quantiles: NDArray[np.float64], targets: NDArray[np.float64], levels: Sequence[float]) -> float:
    """Mean pinball loss of quantiles (n, q) at some levels (q,), for targets (n,)."""
    residuals = targets[:, None] - quantiles  # (n, q)
    return float(np.mean(np.maximum(residuals * np.asarray(levels), residuals * (np.asarray(levels) - 1.0))))


def parallel_quantiles(start: RidgeStart, residuals: NDArray[np.float64], levels: Sequence[float]) -> QuantileSlopes:
    """The ridge's slopes for every level, with the quantiles of its residuals (n,) as constants."""
    return QuantileSlopes(np.tile(start.slopes, (len(levels), 1)), start.intercept + np.quantile(residuals, levels))


def fit_quantiles(
    coordinates: NDArray[np.float32],
    targets: NDArray[np.float64],
    levels: Sequence[float],
    penalty: NDArray[np.float64],
    start: RidgeStart,
    bandwidth: float,
    begin: QuantileSlopes | None = None,
    max_iter: int = 200,
) -> QuantileSlopes:
    """Quantiles that minimise the smoothed pinball loss plus half the penalty of their departures from a ridge.

    Residuals and departures count in standard deviations of the ridge's residuals. The kernel of the convolution is
    uniform: with u = residual / bandwidth, |residual| becomes bandwidth (u² + 1) / 2 within the bandwidth.

    Args:
        coordinates: (n, r), each of variance about 1.
        targets: (n,)
        levels: (q,)
        penalty: (r,) penalty of each squared departure.
        start: the ridge.
        bandwidth: in standard deviations of the ridge's residuals.
        begin: where the search begins; None: at the ridge with the quantiles of its residuals.
        max_iter: largest number of steps.
    """
    n, r = coordinates.shape
    tilts = np.asarray(levels, dtype=np.float32) - np.float32(0.5)  # (q,)
    residuals = ((targets - start.predict(coordinates)) / start.deviation).astype(np.float32)  # (n,)
    width = np.float32(bandwidth)
    unit = np.sqrt(CURVATURE * n + penalty)  # (r,): the Hessian over scaled variables is near the identity
    count = len(tilts)

    def loss(variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        departures = variables[: count * r].reshape(count, r) / unit  # (q, r)
        constants = variables[count * r :] / np.sqrt(CURVATURE * n)  # (q,)
        left = residuals[:, None] - coordinates @ departures.T.astype(np.float32)  # (n, q)
        left -= constants.astype(np.float32)
        inside = np.clip(left / width, -1.0, 1.0)  # (n, q)
        smooth = np.maximum(np.abs(left), width) + width / 2 * (np.square(inside) - 1.0)  # |left|, smoothed
        value = float((smooth.sum(axis=0, dtype=np.float64) / 2 + tilts * left.sum(axis=0, dtype=np.float64)).sum())
        by_quantile = -(inside / 2 + tilts)  # (n, q)
        by_departure = (by_quantile.T @ coordinates).astype(np.float64) + penalty * departures  # (q, r)
        by_constant = by_quantile.sum(axis=0, dtype=np.float64) / np.sqrt(CURVATURE * n)  # (q,)
        value += 0.5 * float((penalty * departures**2).sum())
        return value / n, np.concatenate([(by_departure / unit).ravel(), by_constant]) / n

    begin = parallel_quantiles(start, targets - start.predict(coordinates), levels) if begin is None else begin
    scaled = (begin.slopes - start.slopes) / start.deviation * unit  # (q, r)
    constants = (begin.intercepts - start.intercept) / start.deviation * np.sqrt(CURVATURE * n)  # (q,)
    options = {"maxiter": max_iter, "ftol": 1e-7, "gtol": 1e-6}
    found = minimize(loss, np.concatenate([scaled.ravel(), constants]), jac=True, method="L-BFGS-B", options=options)
    if found.nit >= max_iter:
        log.warning("the quantile head stopped after %d steps", max_iter)
    departures = found.x[: count * r].reshape(count, r) / unit
    return QuantileSlopes(
        start.slopes + start.deviation * departures,
        start.intercept + start.deviation * found.x[count * r :] / np.sqrt(CURVATURE * n),
        int(found.nit),
    )


class QuantileHead(BaseEstimator):  # type: ignore[misc]
    """Linear quantile regression at several levels, on the rows where the ratings are not NaN.

    Args:
        levels: levels of the quantiles, rising.
        alpha: penalty of the departures of the weights from the ridge's; infinite: none departs.
        ridge_alpha: penalty of the ridge.
        bandwidth: width over which the pinball loss is smoothed, in standard deviations of the ridge's residuals.
        directions: largest number of principal directions of the features that are read.
        max_iter: largest number of L-BFGS steps.

    Attributes:
        coef_: (q, d) float64.
        intercept_: (q,) float64.
        n_iter_: number of steps taken.
    """

    def __init__(
        self,
        levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        alpha: float = 1.0,
        ridge_alpha: float = 1.0,
        bandwidth: float = 0.2,
        directions: int = 512,
        max_iter: int = 200,
    ) -> None:
        self.levels = levels
        self.alpha = alpha
        self.ridge_alpha = ridge_alpha
        self.bandwidth = bandwidth
        self.directions = directions
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> "QuantileHead":
        """Fit from features X (n, d) of any floating dtype and ratings y (n,), NaN where not rated.

        Raises:
            ValueError: there is no rating, X is not finite, or the lengths differ.
        """
        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32, np.float16])
        ratings = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        check_consistent_length(features, ratings)
        rated = ~np.isnan(ratings)
        if not rated.any():
            raise ValueError("a quantile head needs ratings, and there are none")
        basis = PrincipalDirections.of(features[rated], self.directions)
        coordinates, targets = basis.coordinates(features[rated]), ratings[rated]
        (start,) = RidgeStart.fit(coordinates, targets, basis, (self.ridge_alpha,))
        if np.isinf(self.alpha):
            found = parallel_quantiles(start, targets - start.predict(coordinates), self.levels)
        else:
            penalty = basis.penalty(self.alpha)
            found = fit_quantiles(
                coordinates, targets, self.levels, penalty, start, self.bandwidth, max_iter=self.max_iter
            )
        wide = basis.weights(found.slopes, found.intercepts)
        self.coef_, self.intercept_, self.n_iter_ = wide.coef, wide.intercept, found.steps
        self.n_features_in_ = features.shape[-1]
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Quantiles, rising along a row. Shape (n, q)."""
        check_is_fitted(self)
        features = check_array(X, dtype=[np.float64, np.float32, np.float16])
        return np.sort(linear_scores(features, self.coef_.T) + self.intercept_, axis=-1)

    def predict_distribution(self, X: ArrayLike) -> Distributions:
        """Distributions of the ratings of n rows."""
        return Distributions.of_quantiles(self.levels, self.predict(X))


def _prepare(features: Features, train_rows: int, settings: QuantileSettings) -> SharedCoordinates:
    return SharedCoordinates.of(features, train_rows, settings.directions)


def _fit(
    shared: SharedCoordinates, targets: Ratings, division: Division, scale: Scale, settings: QuantileSettings
) -> RatingsFit:
    del scale  # quantiles need no levels
    rated = RatedCoordinates.of(shared, targets, division)
    starts = rated.chosen_ridge(settings.ridge_alphas)
    levels = settings.levels

    def fit(part: Part, start: RidgeStart, alpha: float, begin: QuantileSlopes | None) -> QuantileSlopes:
        coordinates, values = rated.part(part)
        if np.isinf(alpha):
            return parallel_quantiles(start, values - start.predict(coordinates), levels)
        penalty = shared.basis.penalty(alpha)
        return fit_quantiles(coordinates, values, levels, penalty, start, settings.bandwidth, begin)

    def judged(found: QuantileSlopes) -> float:
        coordinates, values = rated.part("choose")
        return pinball(np.sort(found.predict(coordinates), axis=-1), values, levels)

    chosen = best_departure(
        settings.alphas, lambda alpha, begin: fit("train", starts.train, alpha, begin), judged, relative=True
    )
    final = fit("all", starts.all, chosen.alpha, None)
    quantiles = chosen.fit.predict(shared.coordinates[division.train :])  # (v, q)
    distribution = Distributions.of_quantiles(levels, quantiles)
    wide = shared.basis.weights(final.slopes, final.intercepts)
    arrays: Arrays = {
        "weight": wide.coef.astype(np.float32),
        "intercepts": wide.intercept,
        "levels": np.asarray(levels),
    }
    details = {
        "directions": len(shared.basis.variances),
        "ridge_alpha": starts.train.alpha,
        "departure": 1.0 / chosen.alpha,
        "pinball": chosen.loss,
    }
    return RatingsFit(arrays, rated.where_rated(distribution.mean), details, distribution)


def _distribution(features: Features, arrays: Arrays) -> Distributions:
    quantiles = linear_scores(features, arrays["weight"].T) + arrays["intercepts"]  # (m, q)
    return Distributions.of_quantiles(arrays["levels"].tolist(), quantiles)


def _scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return _distribution(features, arrays).mean


QUANTILE = RatingsKind(QuantileSettings, _fit, _scores, "weight", _prepare, _distribution)
