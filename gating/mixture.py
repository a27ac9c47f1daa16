"""The distribution of a score: a mixture of its objectives' distributions with the gate's weights.

This is the combination of QRM (Dorka 2024, arXiv 2409.10164): with probability w_j, the score is what objective j
says. Its mean is the score. Its variance is sum w_j (v_j + m_j²) - score², for variances v_j and means m_j: it holds
what each objective leaves open and how far the objectives disagree, and does not depend on how their errors are linked.

A sum of independent terms w_j x_j has the same mean, and the variance sum w_j² v_j: with k objectives of equal weight,
a k-th of the average variance, since errors of some are taken to make up for those of others. Ratings of one response
err together, so that sum is too sure of itself. A mixture is never narrower: it says how a rater would rate who judges
one objective, drawn by the gate. Neither says how far the score would move with other training rows, which is its
standard error.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heads.distributions import Distributions


def score_distribution(
    objectives: Sequence[Distributions],
    weights: NDArray[np.floating],
    penalties: NDArray[np.float64] | None = None,
) -> Distributions:
    """Distributions of the scores of n responses.

    Args:
        objectives: distributions of the n ratings of each of the k objectives, on the scale of rewards.
        weights: (n, k) the gate's weights for the responses' prompts, or coefficients: weights of which each row has
            another sum, by which the score is stretched.
        penalties: (n, k) verbosity penalties, by which a reward is larger than its adjusted reward; None: none.

    Returns:
        n distributions with the atoms of all objectives. Their means are the scores of the distributions' means.

    Raises:
        ValueError: a weight is negative, the weights of a row are all 0, or the shapes do not fit.
    """
    coefficients = np.asarray(weights, dtype=np.float64)  # (n, k)
    if coefficients.shape != (len(objectives[0]), len(objectives)):
        raise ValueError(f"weights {coefficients.shape} do not fit {len(objectives)} objectives")
    total = coefficients.sum(axis=-1, keepdims=True)  # (n, 1)
    if (coefficients < 0).any() or (total == 0).any():
        raise ValueError("a mixture needs weights of 0 or more, and a positive one in each row")
    values, probabilities = [], []
    for number, each in enumerate(objectives):
        taken = 0.0 if penalties is None else penalties[:, number, None]  # (n, 1)
        values.append(total * (each.values - taken))
        probabilities.append(coefficients[:, number, None] / total * each.weights)
    return Distributions.of_atoms(np.concatenate(values, axis=-1), np.concatenate(probabilities, axis=-1))
