"""Fixed weights of objectives by maximum likelihood of the pairs: logistic regression on reward differences."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Weights = NDArray[np.float64]
"""Shape (k,)."""

PENALTY = 1.0
"""Penalty on the squared distance from the start, in units of each objective's spread, as in scikit-learn's logistic
regression with C = 1. It keeps weights finite where the pairs are separable, and counts as much as one pair."""


def logistic_weights(
    difference: NDArray[np.floating], weight: NDArray[np.float64], *, signed: bool, start: Weights | None = None
) -> Weights:
    """Weights that maximise the Bradley-Terry likelihood of the pairs, less a penalty. Shape (k,).

    Minimises the convex sum -log sigmoid(w · difference) + PENALTY / 2 |w - start|².

    Args:
        difference: (n, k) rewards of the chosen response less those of the rejected.
        weight: (n,) weight of each pair.
        signed: whether weights may be below 0.
        start: (k,) weights that the penalty draws to; 0 by default.
    """
    spread = np.sqrt(np.mean(np.square(difference, dtype=np.float64), axis=0)) if len(difference) else 0.0
    spread = np.where(np.asarray(spread) > 0, spread, 1.0)  # (k,)
    scaled = difference / spread  # (n, k)
    centre = np.zeros(scaled.shape[-1]) if start is None else start * spread

    def loss_and_gradient(weights: Weights) -> tuple[float, Weights]:
        margins = scaled @ weights  # (n,)
        away = weights - centre
        loss = float(weight @ np.logaddexp(0.0, -margins) + PENALTY / 2 * away @ away)
        return loss, PENALTY * away - scaled.T @ (weight * expit(-margins))

    bounds = None if signed else [(0.0, None)] * len(centre)
    found = minimize(loss_and_gradient, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    weights: Weights = found.x / spread
    return weights
