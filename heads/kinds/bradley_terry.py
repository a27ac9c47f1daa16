"""A plain Bradley-Terry head: one linear score from preferences alone, without objectives.

It corresponds to FsfairX-LLaMA3-RM with a frozen backbone, and is the baseline of every aggregation. It maximises
sum log sigmoid(w · (f_chosen - f_rejected)) with an L2 penalty, which is logistic regression without intercept on
the differences of features. Pairs may have weights (scaled Bradley-Terry, arXiv 2410.01257).

Differences leave the level of scores open. TRL's `center_rewards_coefficient` c (Eisenstein et al., arXiv 2312.09244,
eq. 2) adds c · mean (r_chosen + r_rejected)². With r = w · f and s = f_chosen + f_rejected that is c w' M w, M the mean
of s s': a ridge penalty with a matrix. Language models' features have a large mean, so M has one large direction, and
the penalty turns w away from it; what it costs the differences is what they have in that direction. There is no
intercept, which alone would bring the mean score to 0 at no cost: where pairs need that direction, a level stays.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from heads.kinds.whitening import Whitening, root_mean_square

log = logging.getLogger(__name__)

Sums: TypeAlias = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""Weights (d,) -> the sum of the pairs' losses, and (d,) the sum of their differences times sigmoid(-margin)."""


@dataclass(frozen=True, slots=True)
class Size:
    """Number and size of differences."""

    pairs: int
    total: float
    """Sum of the pairs' weights."""
    scale: float
    """Root mean square of the differences."""


class Preconditioner(Protocol):
    """A change of variables w = P u, in which a loss has nearly the same curvature in all directions."""

    width: int
    """d"""

    def weights(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """P u. Shape (d,)."""

    def gradient(self, by_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """P' g: the gradient over u from that over the weights. Shape (d,)."""


def losses_and_slopes(
    margins: NDArray[np.float64], counts: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """-log sigmoid(margin) and sigmoid(-margin) of margins (n, ...), times weights that broadcast, or 1."""
    losses, slopes = np.logaddexp(0.0, -margins), expit(-margins)
    return (losses, slopes) if counts is None else (counts * losses, counts * slopes)


class BradleyTerryHead(BaseEstimator):  # type: ignore[misc]
    """Linear Bradley-Terry model of preferences.

    Minimises ½ |w|² + C · sum a · (-log sigmoid(w · (f_chosen - f_rejected)) + w' L w), where a is a pair's weight.
    Takes no memory but that of the differences and L.

    Args:
        C: inverse penalty, for differences in units of their root mean square.
        max_iter: largest number of L-BFGS steps.
        level: L, (d, d), symmetric and without a negative eigenvalue: the coefficient of centred rewards times the
            weighted mean of s s'; None: 0.

    Attributes:
        coef_: (d,) float64.
        n_iter_: number of steps taken.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 200, level: NDArray[np.float64] | None = None) -> None:
        self.C = C
        self.max_iter = max_iter
        self.level = level

    def fit(
        self,
        X: ArrayLike,
        y: None = None,  # noqa: ARG002 - scikit-learn's signature
        sample_weight: ArrayLike | None = None,
    ) -> "BradleyTerryHead":
        """Fit from differences X (n, d) of features, chosen minus rejected, with weights (n,) or all 1.

        Raises:
            ValueError: a difference is not finite, or a weight is negative or not finite, or all are 0.
        """
        differences: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32])
        n, d = differences.shape
        counts = None if sample_weight is None else pair_weights(sample_weight, n)  # (n,)
        size = Size(n, float(n if counts is None else counts.sum()), root_mean_square(differences, counts))
        curvature, quadratic = self.second_derivatives(size)
        whitening = Whitening(differences, np.zeros(d), curvature=curvature, alpha=1.0 / n, quadratic=quadratic)

        def sums(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            margins = (differences @ weights.astype(differences.dtype)).astype(np.float64)  # (n,)
            losses, slopes = losses_and_slopes(margins, counts)  # (n,) each
            return float(losses.sum()), (slopes.astype(differences.dtype) @ differences).astype(np.float64)

        return self.fit_sums(sums, size, whitening)

    def fit_sums(self, sums: Sums, size: Size, whitening: Preconditioner) -> "BradleyTerryHead":
        """Fit from sums over pairs that somebody else reads.

        Args:
            sums: losses and slopes at some weights.
            size: number and size of the differences.
            whitening: a change of variables for the loss over weights of differences of root mean square 1.
        """
        cost = self.C / size.pairs  # over the number of pairs, so that tolerances mean the same at every size
        penalty = 1.0 / size.pairs
        level = self._scaled_level(size)

        def loss(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights = whitening.weights(u)  # (d,)
            losses, pull = sums(weights / size.scale)
            value = cost * losses + 0.5 * penalty * float(weights @ weights)
            gradient = penalty * weights - cost / size.scale * pull
            if level is not None:
                drawn = level @ weights  # (d,)
                value, gradient = value + float(weights @ drawn), gradient + 2.0 * drawn
            return value, whitening.gradient(gradient)

        options = {"maxiter": self.max_iter, "ftol": 1e-9, "gtol": 1e-7}
        found = minimize(loss, np.zeros(whitening.width), jac=True, method="L-BFGS-B", options=options)
        self.n_iter_ = int(found.nit)
        if self.n_iter_ >= self.max_iter:
            log.warning("the Bradley-Terry head with C = %g stopped after %d steps", self.C, self.max_iter)
        self.coef_: NDArray[np.float64] = whitening.weights(found.x) / size.scale
        return self

    def second_derivatives(self, size: Size) -> tuple[float, NDArray[np.float64] | None]:
        """Second derivatives of the loss without its penalty: the factor of a pair's x x' at margin 0, and the rest.

        The rest has the shape (d, d); it is None without L.

        The logistic loss has its largest second derivative, a quarter, at margin 0. Both are proportional to C.
        """
        level = self._scaled_level(size)
        curvature = 0.25 * (self.C / size.pairs) * size.total / size.pairs / size.scale**2
        return curvature, None if level is None else 2.0 * level

    def _scaled_level(self, size: Size) -> NDArray[np.float64] | None:
        """L as it enters the loss over weights of differences of root mean square 1. Shape (d, d)."""
        return None if self.level is None else self.C / size.pairs * size.total / size.scale**2 * self.level

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""
        check_is_fitted(self)
        return linear_scores(X, self.coef_)


def pair_weights(sample_weight: ArrayLike, pairs: int) -> NDArray[np.float64]:
    """Weights of pairs (n,) in float64.

    Raises:
        ValueError: there are not as many as pairs, one is negative or not finite, or all are 0.
    """
    weights: NDArray[np.float64] = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (pairs,):
        raise ValueError(f"sample_weight has the shape {weights.shape}, and there are {pairs} pairs")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError("sample_weight must be finite, not negative, and above 0 for a pair")
    return weights


def linear_scores(X: ArrayLike, coef: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of features (n, d) under weights (d,), computed in the features' precision: a wider copy would not fit."""
    features = np.asarray(X)
    scores: NDArray[np.float64] = (features @ coef.astype(np.result_type(features, np.float32))).astype(np.float64)
    return scores


class LinearPairwiseHead(Protocol):
    """A linear score learned from differences of features, with a C to select."""

    C: float
    coef_: NDArray[np.float64]
    n_iter_: int

    def fit(self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None) -> Any:
        """Fit from differences X (n, d) of features, chosen minus rejected, with weights (n,) or all 1."""

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""


def select_c(
    train: NDArray[np.float32],
    validation: NDArray[np.float32],
    C: Sequence[float],
    kind: Callable[[float], LinearPairwiseHead] = BradleyTerryHead,
    weight: NDArray[np.float64] | None = None,
) -> tuple[LinearPairwiseHead, float]:
    """The head with the best accuracy on validation differences, and that accuracy.

    Equal accuracies go to the smallest C. A tie between chosen and rejected counts as wrong.

    Args:
        train: (n, d) differences to fit on.
        validation: (v, d) differences to select by; each counts 1.
        C: inverse penalties.
        kind: makes a head of a C.
        weight: (n,) weights of the training pairs; None: all 1.
    """
    heads = [kind(value) for value in sorted(C)]
    accuracies = [
        float(np.mean(head.fit(train, sample_weight=weight).decision_function(validation) > 0)) for head in heads
    ]
    best = int(np.argmax(accuracies))
    return heads[best], accuracies[best]
