"""A plain Bradley-Terry head: one linear score from preferences alone, without objectives.

It corresponds to FsfairX-LLaMA3-RM with a frozen backbone, and is the baseline of every aggregation. It maximises
sum log sigmoid(w · (f_chosen - f_rejected)) with an L2 penalty, which is logistic regression without intercept on
the differences of features.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from heads.kinds.whitening import Whitening, root_mean_square

log = logging.getLogger(__name__)


class BradleyTerryHead(BaseEstimator):  # type: ignore[misc]
    """Linear Bradley-Terry model of preferences.

    Minimises ½ |w|² + C · sum -log sigmoid(w · (f_chosen - f_rejected)). Takes no memory
    but that of the differences.

    Args:
        C: inverse penalty, for differences in units of their root mean square.
        max_iter: largest number of L-BFGS steps.

    Attributes:
        coef_: (d,) float64.
        n_iter_: number of steps taken.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 200) -> None:
        self.C = C
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: None = None) -> "BradleyTerryHead":  # noqa: ARG002 - scikit-learn's signature
        """Fit from differences X (n, d) of features, chosen minus rejected."""
        differences: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32])
        n, d = differences.shape
        scale = root_mean_square(differences)
        cost = self.C / n  # over the number of pairs, so that tolerances mean the same at every size
        penalty = 1.0 / n
        # The logistic loss has its largest second derivative, a quarter, at margin 0.
        whitening = Whitening(differences, np.zeros(d), curvature=0.25 * cost / scale**2, alpha=penalty)

        def loss(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights = whitening.weights(u)  # (d,)
            margins = (differences @ (weights / scale).astype(differences.dtype)).astype(np.float64)  # (n,)
            value = cost * float(np.logaddexp(0.0, -margins).sum()) + 0.5 * penalty * float(weights @ weights)
            pull = (expit(-margins).astype(differences.dtype) @ differences).astype(np.float64)  # (d,)
            return value, whitening.gradient(penalty * weights - cost / scale * pull)

        options = {"maxiter": self.max_iter, "ftol": 1e-9, "gtol": 1e-7}
        found = minimize(loss, np.zeros(d), jac=True, method="L-BFGS-B", options=options)
        self.n_iter_ = int(found.nit)
        if self.n_iter_ >= self.max_iter:
            log.warning("the Bradley-Terry head with C = %g stopped after %d steps", self.C, self.max_iter)
        self.coef_: NDArray[np.float64] = whitening.weights(found.x) / scale
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""
        check_is_fitted(self)
        return linear_scores(X, self.coef_)


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

    def fit(self, X: ArrayLike) -> Any:
        """Fit from differences X (n, d) of features, chosen minus rejected."""

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""


def select_c(
    train: NDArray[np.float32],
    validation: NDArray[np.float32],
    C: Sequence[float],
    kind: Callable[[float], LinearPairwiseHead] = BradleyTerryHead,
) -> tuple[LinearPairwiseHead, float]:
    """The head with the best accuracy on validation differences, and that accuracy.

    Equal accuracies go to the smallest C. A tie between chosen and rejected counts as wrong.
    """
    heads = [kind(value) for value in sorted(C)]
    accuracies = [float(np.mean(head.fit(train).decision_function(validation) > 0)) for head in heads]
    best = int(np.argmax(accuracies))
    return heads[best], accuracies[best]
