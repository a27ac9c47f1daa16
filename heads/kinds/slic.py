"""A pairwise hinge head: the margin of SLiC-HF on cached features, one linear score.

SLiC-HF (Zhao et al. 2023, arXiv 2305.10425) calibrates log-likelihoods with max(0, δ - (s_chosen - s_rejected)).
Here the score is w · f, and δ is 1: under an L2 penalty another δ only scales w and the penalty. This is
a linear support vector machine without intercept on differences of features (RankSVM, Joachims 2002).

Not the same as the published row "pair-preference-model, SliC-HF": that model reads both responses in one
context, which features of single responses cannot give.
"""

import logging
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from cache.progress import Progress
from heads.kinds.bradley_terry import linear_scores, pair_weights, select_c
from heads.kinds.kind import Arrays, Features, Pairs, PairWeights, PairwiseFit, PairwiseKind
from heads.kinds.whitening import Whitening, root_mean_square

log = logging.getLogger(__name__)

WIDTHS = (1.0, 0.1, 0.01)
"""Widths over which the kink is rounded, each fit starting from the last: the loss is below the hinge by at most half
the width for each pair."""


class SlicSettings(BaseModel):
    """`[other_heads.slic]`: one linear score with a hinge on the margin of each pair."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    C: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-5, 2)), min_length=1
    )
    """Inverse penalties (scikit-learn's C) to choose from, by accuracy on the validation pairs."""


class SlicHead(BaseEstimator):  # type: ignore[misc]
    """Linear score with a hinge on the margin of each pair.

    Minimises ½ |w|² + C · sum a · max(0, 1 - w · (f_chosen - f_rejected)), where a is a pair's weight, the hinge's kink
    rounded over 0.01.

    Args:
        C: inverse penalty, for differences in units of their root mean square, as in `BradleyTerryHead`.
        max_iter: largest number of L-BFGS steps for each width of the kink.

    Attributes:
        coef_: (d,) float64.
        n_iter_: number of steps taken, over all widths.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 200) -> None:
        self.C = C
        self.max_iter = max_iter

    def fit(
        self,
        X: ArrayLike,
        y: None = None,  # noqa: ARG002 - scikit-learn's signature
        sample_weight: ArrayLike | None = None,
    ) -> "SlicHead":
        """Fit from differences X (n, d) of features, chosen minus rejected, with weights (n,) or all 1.

        Raises:
            ValueError: a difference is not finite, or a weight is negative or not finite, or all are 0.
        """
        differences: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32])
        n, d = differences.shape
        counts = None if sample_weight is None else pair_weights(sample_weight, n)  # (n,)
        scale = root_mean_square(differences, counts)
        cost = self.C / n  # over the number of pairs, so that tolerances mean the same at every size
        penalty = 1.0 / n
        # The rounded hinge has second derivative 1 / width on the pairs near the margin: about 1 over all pairs.
        curvature = cost / scale**2 * (1.0 if counts is None else float(counts.mean()))
        whitening = Whitening(differences, np.zeros(d), curvature=curvature, alpha=penalty)

        def loss(u: NDArray[np.float64], width: float) -> tuple[float, NDArray[np.float64]]:
            weights = whitening.weights(u)  # (d,)
            short = 1.0 - (differences @ (weights / scale).astype(differences.dtype)).astype(np.float64)  # (n,)
            bend = np.clip(short / width, 0.0, 1.0)  # (n,) 0 beyond the margin, 1 on the slope
            losses = bend * (short - 0.5 * width * bend)  # (n,)
            if counts is not None:
                losses, bend = counts * losses, counts * bend
            value = cost * float(losses.sum()) + 0.5 * penalty * float(weights @ weights)
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
            log.warning("the SLiC head with C = %g stopped after %d steps", self.C, self.max_iter)
        self.coef_: NDArray[np.float64] = whitening.weights(u) / scale
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d), or of their differences. Shape (n,)."""
        check_is_fitted(self)
        return linear_scores(X, self.coef_)


def _fit(
    features: Features,
    train: Pairs,
    validation: Pairs,
    settings: SlicSettings,
    progress: Progress,
    weight: PairWeights | None = None,
) -> PairwiseFit:
    progress("fitting the SLiC head", 0, 1, "heads")
    learn, judge = _differences(features, train), _differences(features, validation)
    head, _ = select_c(learn, judge, settings.C, SlicHead, weight)
    progress("fitting the SLiC head", 1, 1, "heads")
    return PairwiseFit({"weight": head.coef_.astype(np.float32)}, {"C": head.C, "steps": head.n_iter_})


def _scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return (features.astype(np.float32, copy=False) @ arrays["weight"]).astype(np.float64)


def _differences(features: Features, pairs: Pairs) -> NDArray[np.float32]:
    """Chosen minus rejected features. Shape (n, d)."""
    differences: NDArray[np.float32] = features[pairs[:, 0]].astype(np.float32)
    differences -= features[pairs[:, 1]]
    return differences


SLIC = PairwiseKind("same features, hinge on the margin", "SLiC-HF loss", SlicSettings, _fit, _scores, "weight")
