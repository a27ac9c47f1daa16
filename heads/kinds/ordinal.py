"""An ordinal head: a distribution over an objective's rating levels, whose mean is the score.

The idea is OPRM's (Chen et al. 2026, arXiv 2602.12660): quality is a random variable over ordered ratings. OPRM
reads the distribution off a language model's tokens for the ratings; on a frozen feature it is the
proportional-odds model (McCullagh 1980): P(rating <= j) = sigmoid(threshold_j - w · f), one direction for all
levels. With two levels it is logistic regression.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from heads.distributions import Distributions
from heads.kinds.kind import Arrays, Division, Features, Ratings, RatingsFit, RatingsKind, SkippedError, unprepared
from heads.kinds.whitening import BLOCK_ROWS, Whitening
from heads.objectives import Scale

log = logging.getLogger(__name__)

CURVATURE = 0.25
"""Largest second derivative of a two-level rating's loss; more levels add at most a third."""


class OrdinalSettings(BaseModel):
    """`[other_heads.ordinal]`: for each objective a distribution over its rating levels, whose mean is the score."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-2, 5)), min_length=1
    )
    """Penalties to choose from, by the likelihood of the validation ratings."""


class OrdinalHead(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Proportional-odds regression of one objective's ratings, on the rows where they are not NaN.

    Minimises the negative log-likelihood of the ratings plus alpha / 2 · |w|².

    Args:
        alpha: penalty of the direction; the thresholds are not penalised.
        max_iter: largest number of L-BFGS steps.

    Attributes:
        coef_: (d,) float64, the direction.
        thresholds_: (levels - 1,) float64, rising.
        classes_: (levels,) float64, the ratings that occur, rising.
        n_iter_: number of steps taken.
    """

    def __init__(self, alpha: float = 1.0, max_iter: int = 200) -> None:
        self.alpha = alpha
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> "OrdinalHead":
        """Fit from features X (n, d) of any floating dtype and ratings y (n,), NaN where not rated.

        Raises:
            ValueError: fewer than two levels occur, X is not finite, or the lengths differ.
        """
        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32, np.float16])
        ratings: NDArray[np.float64] = check_array(
            y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
        )
        check_consistent_length(features, ratings)
        rated = np.flatnonzero(~np.isnan(ratings))  # (m,)
        self.classes_, level, counts = np.unique(ratings[rated], return_inverse=True, return_counts=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"an ordinal head needs ratings on two levels at least, and there are {len(self.classes_)}"
            )
        features = features if len(rated) == len(features) else features[rated]  # (m, d)
        mean = features.mean(axis=0, dtype=np.float64)  # (d,)
        whitening = Whitening(features, mean, CURVATURE, self.alpha)
        below = np.cumsum(counts[:-1]) / len(rated)  # (levels - 1,)
        start = np.log(below / (1.0 - below))  # the thresholds of a model without features
        steps = np.log(np.maximum(np.diff(start), 1e-3))
        # Scaled so that the second derivatives by the thresholds are about 1 too.
        unit = np.sqrt(CURVATURE * len(rated))
        d = features.shape[-1]

        def loss(variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights = whitening.weights(variables[:d])  # (d,)
            thresholds = _rising(variables[d:] / unit)  # (levels - 1,)
            scores = _linear_scores(features, weights) - mean @ weights  # (m,)
            value, by_score, by_threshold = _likelihood(scores, level, thresholds)
            by_weights = _pull(features, by_score) - by_score.sum() * mean + self.alpha * weights  # (d,)
            by_steps = np.exp(variables[d + 1 :] / unit) * np.cumsum(by_threshold[::-1])[::-1][1:]
            by_level = np.append(by_threshold.sum(), by_steps) / unit
            value += 0.5 * self.alpha * float(weights @ weights)
            return value / len(rated), np.concatenate([whitening.gradient(by_weights), by_level]) / len(rated)

        begin = np.concatenate([np.zeros(d), np.append(start[0], steps) * unit])
        options = {"maxiter": self.max_iter, "ftol": 1e-12, "gtol": 1e-7}
        found = minimize(loss, begin, jac=True, method="L-BFGS-B", options=options)
        if found.nit >= self.max_iter:
            log.warning("the ordinal head with alpha = %g stopped after %d steps", self.alpha, self.max_iter)
        self.coef_: NDArray[np.float64] = whitening.weights(found.x[:d])
        self.thresholds_: NDArray[np.float64] = _rising(found.x[d:] / unit) + mean @ self.coef_
        self.n_iter_ = int(found.nit)
        self.n_features_in_ = d
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of every level. Shape (n, levels)."""
        check_is_fitted(self)
        features = check_array(X, dtype=[np.float64, np.float32, np.float16])
        return level_probabilities(_linear_scores(features, self.coef_), self.thresholds_)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Expected rating. Shape (n,)."""
        return self.predict_proba(X) @ self.classes_


def nearest_levels(targets: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest level of each target, NaN where the target is NaN; levels (l,) rise. Ties go to the lower level."""
    between = (levels[1:] + levels[:-1]) / 2.0  # (l - 1,)
    return np.where(np.isnan(targets), np.nan, levels[np.searchsorted(between, targets)])


def log_loss(head: OrdinalHead, X: ArrayLike, y: ArrayLike) -> float:
    """Mean negative log-likelihood of ratings (n,), each read as the head's nearest level."""
    probabilities = head.predict_proba(X)  # (n, levels)
    level = np.searchsorted(head.classes_, nearest_levels(np.asarray(y), head.classes_))  # (n,)
    return -float(np.log(np.maximum(probabilities[np.arange(len(level)), level], 1e-300)).mean())


def select_alpha(
    train: tuple[ArrayLike, ArrayLike], validation: tuple[ArrayLike, ArrayLike], alphas: Sequence[float]
) -> tuple[OrdinalHead, float]:
    """The head fitted on the training rows with the lowest log loss on the validation rows, and that loss.

    Alphas are tried from the largest down, until two in a row have increased the loss.
    """
    best, lowest, worse = OrdinalHead(), np.inf, 0
    for alpha in sorted(alphas, reverse=True):
        head = OrdinalHead(alpha).fit(*train)
        loss = log_loss(head, *validation)
        if loss < lowest:
            best, lowest, worse = head, loss, 0
            continue
        worse += 1
        if worse == 2:
            break
    return best, lowest


def level_probabilities(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(level) from scores (n,) and rising thresholds (levels - 1,). Shape (n, levels)."""
    below = expit(thresholds - scores[:, None])  # (n, levels - 1)
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


def _rising(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds from the first one and the logarithms of the gaps between them."""
    return np.cumsum(np.append(steps[0], np.exp(steps[1:])))


def _likelihood(
    scores: NDArray[np.float64], level: NDArray[np.int64], thresholds: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Negative log-likelihood, and its gradients by the scores (n,) and the thresholds (levels - 1,)."""
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])  # (levels + 1,)
    upper, lower = edges[level + 1] - scores, edges[level] - scores  # (n,) each
    # sigmoid(upper) - sigmoid(lower) loses all digits in the tails; this product does not.
    gap = edges[level + 1] - edges[level]  # (n,), infinite at the ends
    probability = np.maximum(-np.expm1(-gap) * expit(upper) * expit(-lower), 1e-300)  # (n,)
    slope_above, slope_below = (expit(edge) * expit(-edge) / probability for edge in (upper, lower))  # (n,) each
    by_edge = np.zeros(len(edges))  # (levels + 1,)
    by_edge += np.bincount(level, slope_below, len(edges))  # an edge is the lower one of a level
    by_edge -= np.bincount(level + 1, slope_above, len(edges))  # and the upper one of the level before
    return -float(np.log(probability).sum()), slope_above - slope_below, by_edge[1:-1]


def _blocks(features: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, NDArray[np.floating[Any]]]]:
    """Blocks of rows (b, d) in float32, or float64 if that is what they are."""
    for start in range(0, len(features), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        block = features[rows]
        yield rows, block.astype(np.float32) if block.dtype == np.float16 else block


def _linear_scores(features: NDArray[np.floating[Any]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = np.empty(len(features))
    for rows, block in _blocks(features):
        scores[rows] = block @ weights.astype(block.dtype)
    return scores


def _pull(features: NDArray[np.floating[Any]], by_score: NDArray[np.float64]) -> NDArray[np.float64]:
    pull = np.zeros(features.shape[-1])
    for rows, block in _blocks(features):
        pull += by_score[rows].astype(block.dtype) @ block
    return pull


def _fit(
    features: Features, targets: Ratings, division: Division, scale: Scale, settings: OrdinalSettings
) -> RatingsFit:
    steps, train = scale.high - scale.low, division.train
    if steps != round(steps):
        raise SkippedError(f"its scale, {scale.low:g} to {scale.high:g}, has no whole steps")
    levels = nearest_levels(targets, scale.target(np.linspace(scale.low, scale.high, round(steps) + 1)))  # (n,)
    if np.ptp(levels[:train][~np.isnan(levels[:train])]) == 0:
        raise SkippedError("its training ratings are all on one level")
    choose = train + np.flatnonzero(~np.isnan(levels[train : division.chosen]))  # (c,)
    if not len(choose):
        raise SkippedError("it has no rated validation row to choose its penalty by")
    selected, loss = select_alpha(
        (features[:train], levels[:train]), (features[choose], levels[choose]), settings.alphas
    )
    distribution = Distributions.of_levels(selected.classes_, selected.predict_proba(features[train:]))
    validation = np.where(np.isnan(levels[train:]), np.nan, distribution.mean)  # (v,)
    final = OrdinalHead(selected.alpha).fit(features, levels)
    arrays: Arrays = {
        "weight": final.coef_.astype(np.float32),
        "thresholds": final.thresholds_,
        "levels": final.classes_,
    }
    details = {"levels": len(final.classes_), "alpha": selected.alpha, "validation_log_loss": loss}
    return RatingsFit(arrays, validation, details, distribution)


def _distribution(features: Features, arrays: Arrays) -> Distributions:
    scores = _linear_scores(features, arrays["weight"])
    return Distributions.of_levels(arrays["levels"], level_probabilities(scores, arrays["thresholds"]))


def _scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return _distribution(features, arrays).mean


ORDINAL = RatingsKind(OrdinalSettings, _fit, _scores, "weight", unprepared, _distribution)
