"""A pairwise hinge head: the margin of SLiC-HF on cached features, one linear score.

SLiC-HF (Zhao et al. 2023, arXiv 2305.10425) calibrates log-likelihoods with max(0, δ - (s_chosen - s_rejected)).
Here the score is w · f, and δ is 1: under an L2 penalty another δ only scales w and the penalty. What is left
is a linear support vector machine without intercept on differences of features (RankSVM, Joachims 2002).

Not the same as the published row "pair-preference-model, SliC-HF": that model reads both responses in one
context, which features of single responses cannot give.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from heads.kinds.bradley_terry import linear_scores
from heads.kinds.whitening import Whitening, root_mean_square

log = logging.getLogger(__name__)

WIDTHS = (1.0, 0.1, 0.01)
"""Of the rounded kink, one fit starting from the last: the loss is below the hinge by at most half the width a pair."""


class SlicHead(BaseEstimator):  # type: ignore[misc]
    """Linear score with a hinge on the margin of each pair.

    Minimises ½ |w|² + strength · sum max(0, 1 - w · (f_chosen - f_rejected)), the hinge's kink rounded over 0.01.

    Args:
        strength: inverse of the penalty, for differences in units of their root mean square, as in
            `BradleyTerryHead`.
        max_iter: most steps of L-BFGS for each width of the kink.

    Attributes:
        coef_: (d,) float64.
        n_iter_: steps taken, over all widths.
    """

    def __init__(self, strength: float = 1.0, max_iter: int = 200) -> None:
        self.strength = strength
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: None = None) -> "SlicHead":  # noqa: ARG002 - scikit-learn's signature
        """Fit from differences X (n, d) of features, chosen less rejected."""
        differences: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32])
        n, d = differences.shape
        scale = root_mean_square(differences)
        cost = self.strength / n  # over the number of pairs, so that tolerances mean the same at every size
        penalty = 1.0 / n
        # Rounded over a width, the hinge bends by 1 / width on the share of pairs near the margin: 1 on the whole.
        whitening = Whitening(differences, np.zeros(d), curvature=cost / scale**2, alpha=penalty)

        def loss(u: NDArray[np.float64], width: float) -> tuple[float, NDArray[np.float64]]:
            weights = whitening.weights(u)  # (d,)
            short = 1.0 - (differences @ (weights / scale).astype(differences.dtype)).astype(np.float64)  # (n,)
            bend = np.clip(short / width, 0.0, 1.0)  # (n,) 0 right of the kink, 1 on the slope
            value = cost * float((bend * (short - 0.5 * width * bend)).sum()) + 0.5 * penalty * float(weights @ weights)
            pull = (bend.astype(differences.dtype) @ differences).astype(np.float64)  # (d,)
            return value, whitening.gradient(penalty * weights - cost / scale * pull)

        u = np.zeros(d)
        self.n_iter_ = 0
        for width in WIDTHS:
            found = minimize(
                loss, u, args=(width,), jac=True, method="L-BFGS-B", options={"maxiter": self.max_iter, "ftol": 1e-9}
            )
            u = found.x
            self.n_iter_ += int(found.nit)
        if found.nit >= self.max_iter:
            log.warning("the SLiC head with strength %g stopped after %d steps", self.strength, self.max_iter)
        self.coef_: NDArray[np.float64] = whitening.weights(u) / scale
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""
        check_is_fitted(self)
        return linear_scores(X, self.coef_)
