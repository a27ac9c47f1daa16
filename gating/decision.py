"""Decisions between two responses of one prompt: the probability that one is better, and whether to abstain.

The margin of two scores has a Gaussian error, that of the heads' means: the probability that the first response is
better is Phi(margin / standard error). It says how sure the heads are of their own means, given the rated rows that
they learned from. It does not say that people would agree with them, which depends on the raters' noise and on how far
the objectives, the gate and the features carry.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr


def standardised(margins: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Margins in units of their standard errors: 0 for a margin of 0, infinite for another one without an error.

    Args:
        margins: (n,) score of the first response less that of the second.
        std: (n,) standard errors of the margins.

    Returns:
        (n,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(margins == 0.0, 0.0, margins / std)


def probability_better(margins: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that the first response is better; arguments as in `standardised`. Shape (n,)."""
    probability: NDArray[np.float64] = ndtr(standardised(margins, std))
    return probability


def abstains(probability: NDArray[np.float64], below: float) -> NDArray[np.bool_]:
    """Whether to leave a decision open: where neither response is better with a probability of at least `below`.

    Args:
        probability: (n,) that the first response is better.
        below: from 0.5, where nothing is left open, to 1.

    Raises:
        ValueError: `below` is not from 0.5 to 1.
    """
    if not 0.5 <= below <= 1.0:
        raise ValueError(f"abstain below a probability from 0.5 to 1, not {below}")
    return np.maximum(probability, 1.0 - probability) < below
