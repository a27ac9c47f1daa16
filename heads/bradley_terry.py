"""A plain Bradley-Terry head: one linear score from preferences alone, without objectives.

It is what FsfairX-LLaMA3-RM is with its backbone frozen, and the line every aggregation is compared
with. Maximises sum log sigmoid(w · (f_chosen - f_rejected)) with an L2 penalty, which is logistic
regression without intercept on the differences of features.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

log = logging.getLogger(__name__)


class BradleyTerryHead(BaseEstimator):  # type: ignore[misc]
    """Linear Bradley-Terry model of preferences.

    Args:
        strength: inverse of the penalty, scikit-learn's `C`, for differences in units of their
            root mean square.
        max_iter: most iterations of L-BFGS.

    Attributes:
        coef_: (d,) float64.
        n_iter_: iterations taken.
    """

    def __init__(self, strength: float = 1.0, max_iter: int = 200) -> None:
        self.strength = strength
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: None = None) -> "BradleyTerryHead":  # noqa: ARG002 - scikit-learn's signature
        """Fit from differences X (n, d) of features, chosen less rejected."""
        differences = check_array(X, dtype=[np.float64, np.float32])
        scale = float(np.sqrt(np.mean(np.square(differences, dtype=np.float64)))) or 1.0
        if len(differences) == 1:  # two classes are asked for; the pair both ways round, at half weight
            differences = np.repeat(differences, 2, axis=0)
        weight = np.full(len(differences), len(np.atleast_2d(X)) / len(differences))
        # Every other difference is turned round, so that both classes occur; the likelihood is the same.
        signs = np.where(np.arange(len(differences)) % 2 == 0, 1.0, -1.0).astype(differences.dtype)  # (n,)
        model: Any = LogisticRegression(C=self.strength, fit_intercept=False, max_iter=self.max_iter, tol=1e-4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told below, in the project's own words
            model.fit(differences * (signs[:, None] / differences.dtype.type(scale)), signs, sample_weight=weight)
        if model.n_iter_[0] >= self.max_iter:
            log.warning("the Bradley-Terry head with strength %g stopped after %d steps", self.strength, self.max_iter)
        self.coef_: NDArray[np.float64] = model.coef_[0].astype(np.float64) / scale
        self.n_iter_ = int(model.n_iter_[0])
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""
        check_is_fitted(self)
        scores: NDArray[np.float64] = np.asarray(X) @ self.coef_
        return scores


class LinearPairwiseHead(Protocol):
    """A linear score learned from differences of features, with a strength to choose."""

    strength: float
    coef_: NDArray[np.float64]
    n_iter_: int

    def fit(self, X: ArrayLike) -> Any:
        """Fit from differences X (n, d) of features, chosen less rejected."""

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""


def choose_strength(
    train: NDArray[np.float32],
    validation: NDArray[np.float32],
    strengths: Sequence[float],
    kind: Callable[[float], LinearPairwiseHead] = BradleyTerryHead,
) -> tuple[LinearPairwiseHead, float]:
    """The head with the best accuracy on validation differences, and that accuracy.

    Accuracy ties go to the stronger penalty. A tie between chosen and rejected counts as wrong.
    """
    heads = [kind(strength) for strength in sorted(strengths)]
    accuracies = [float(np.mean(head.fit(train).decision_function(validation) > 0)) for head in heads]
    best = int(np.argmax(accuracies))
    return heads[best], accuracies[best]
