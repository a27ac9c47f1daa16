"""A user's own weights of the objectives, learned from a few pairs, and whether they judge better than the gate.

P(chosen beats rejected) = sigmoid(score margin / T) with the difference d (k,) of the debiased rewards. The margin is
(gate weights of the prompt + w) · d where the user's weights are added to the gate's, and w · d where they replace
them. The prior of w is Gaussian around 0, or around the gate's mean weights; every objective has the same say, in
units of its own spread: w_j ~ N(mean_j, (tau m / (sqrt(k) s_j))²) with m the root mean square of the margins under the
prior's mean and s_j that of d_j. So a tau of 1 expects the user's own part of a margin to be as large as the gate's. T
and tau are those of the largest evidence in a small grid.

Few pairs can mislead. The weights are held against the gate on each pair in turn, left out of the fit, and are better
only where these decisions show it beyond noise.
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from gating.logistic_posterior import Array, LogisticPosterior, fit, left_out_logits

Mode = Literal["add", "replace"]
"""add: the weights are added to the gate's, which differ by prompt, and are 0 where nothing is known of the user;
replace: they take the place of the gate's, and are the same for all prompts."""

SPREADS = (0.1, 0.3, 1.0, 3.0)
"""Values of tau among which the evidence chooses."""

TYPICAL_LOGITS = (0.5, 1.5, 4.0, 12.0)
"""Values of m / T, the logit of a typical pair under the gate: from a user who nearly draws lots to one who is sure."""

EXACT_PAIRS = 50
"""Largest number of pairs of which each is left out by fitting again, its T and tau chosen without it. Beyond it, one
pair of many hardly moves T and tau, and a Newton step stands for the fit."""

SURE = 0.95
"""Probability with which the user's weights must be more often right than the gate where the two disagree."""


@dataclass(frozen=True, slots=True, eq=False)
class Personal:
    """A user's weights, how sure they are, and how they judge pairs that they did not learn from."""

    mode: Mode
    weights: Array
    """(k,) added to the gate's or in place of them, on the gate's scale."""
    std: Array
    """(k,) standard deviation of each weight, by Laplace's approximation."""
    prior_std: Array
    """(k,) the same before any pair was seen: where `std` is no less, the pairs say nothing of the objective."""
    gate: Array
    """(k,) the gate's weights, as their mean over the pairs' prompts."""
    temperature: float
    """T: how large a margin the user's choices need, on the scale of the score."""
    tau: float
    left_out_right: NDArray[np.bool_]
    """(n,) whether the weights fitted without a pair prefer its chosen response."""
    gate_right: NDArray[np.bool_]
    """(n,) whether the gate does."""

    @property
    def accuracy(self) -> float:
        """Fraction of the pairs that the weights judge right, each pair left out of their fit."""
        return float(self.left_out_right.mean())

    @property
    def gate_accuracy(self) -> float:
        """Fraction of the pairs that the gate judges right."""
        return float(self.gate_right.mean())

    @property
    def gained(self) -> int:
        """Pairs that the weights alone judge right."""
        return int((self.left_out_right & ~self.gate_right).sum())

    @property
    def lost(self) -> int:
        """Pairs that the gate alone judges right."""
        return int((self.gate_right & ~self.left_out_right).sum())

    @property
    def probability_better(self) -> float:
        """Probability that, where the two disagree, the weights are more often right than the gate."""
        return probability_better(self.gained, self.lost)

    @property
    def better(self) -> bool:
        """Whether the weights beat the gate beyond noise."""
        return self.probability_better >= SURE


def probability_better(gained: int, lost: int) -> float:
    """Posterior probability of p > 1/2 of `gained` successes and `lost` failures, p uniform before.

    The Bayesian counterpart of McNemar's exact test, which looks at the same pairs, those on which two judges differ.
    """
    return float(betainc(lost + 1, gained + 1, 0.5))


def personalise(differences: Array, gate_weights: Array, mode: Mode = "add") -> Personal:
    """A user's weights from pairs.

    Args:
        differences: (n, k) debiased rewards of the chosen response less those of the rejected, n > 0.
        gate_weights: (n, k) the gate's weights for the pairs' prompts.
        mode: see `Mode`.

    Raises:
        ValueError: there is no pair, or a number is not finite.
    """
    if not len(differences) or not (np.isfinite(differences).all() and np.isfinite(gate_weights).all()):
        raise ValueError("weights need at least one pair, and finite rewards and gate weights")
    n, k = differences.shape
    gate = gate_weights.mean(axis=0)  # (k,)
    gate_margins = (gate_weights * differences).sum(axis=-1)  # (n,)
    spread = _root_mean_square(differences)  # (k,)
    # An objective that is equal in every pair keeps its prior, which needs a spread: the largest gives the narrowest.
    spread = np.where(spread > 0, spread, spread.max() or 1.0)
    rows = differences / spread / np.sqrt(k)  # (n, k)
    known = gate_margins if mode == "add" else differences @ gate  # (n,) margins under the prior's mean
    size = float(_root_mean_square(known)) or 1.0
    taus, logits = np.array(list(product(SPREADS, TYPICAL_LOGITS))).T  # (g,) each
    offset, scale = logits[:, None] * known / size, taus * logits  # (g, n), (g,)
    fits = fit(rows, offset, scale)
    best = int(fits.log_evidence.argmax())
    chosen = fits.one(best)
    if n <= EXACT_PAIRS:
        left_out = _refitted(rows, offset, scale, fits)
    else:
        left_out = left_out_logits(rows, offset[best], float(scale[best]), chosen)
    unit = taus[best] * size / np.sqrt(k) / spread  # (k,)
    own = unit * chosen.mode[0]  # (k,)
    return Personal(
        mode=mode,
        weights=gate + own if mode == "replace" else own,
        std=unit * np.sqrt(np.diagonal(np.linalg.inv(chosen.precision[0]))),
        prior_std=unit,
        gate=gate,
        temperature=size / float(logits[best]),
        tau=float(taus[best]),
        left_out_right=left_out > 0,
        gate_right=gate_margins > 0,
    )


def _root_mean_square(values: Array) -> Array:
    """Over the first axis."""
    root: Array = np.sqrt(np.square(values).mean(axis=0))
    return root


def _refitted(rows: Array, offset: Array, scale: Array, fits: LogisticPosterior) -> Array:
    """Logit (n,) of each row under the fit without it, with the member of the grid of the largest evidence without it.

    Args:
        rows: (n, k)
        offset: (g, n) of each member of the grid.
        scale: (g,)
        fits: of all rows, g of them.
    """
    (g, n), every = offset.shape, np.arange(len(rows))
    used = np.tile(1.0 - np.eye(n), (g, 1))  # (g * n, n), row n of each member left out in turn
    start = np.repeat(fits.mode, n, axis=0)  # (g * n, k)
    without = fit(rows, np.repeat(offset, n, axis=0), np.repeat(scale, n), used, start)
    best = without.log_evidence.reshape(g, n).argmax(axis=0)  # (n,)
    mode = without.mode.reshape(g, n, -1)[best, every]  # (n, k)
    logits: Array = offset[best, every] + scale[best] * (mode * rows).sum(axis=-1)
    return logits
