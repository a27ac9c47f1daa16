"""Calibration of score gaps, and of probabilities from standard errors, against outcomes.

Under the Bradley-Terry model, a response that scores higher by g is preferred with probability sigmoid(g / T);
T is 1 for scores that were trained with this model. Reliability bins, the expected calibration error and a
temperature fitted on held-out data are those of Guo et al. 2017 (arXiv 1706.04599).

The order of a pair has no meaning, so the probability is that of the response which the rule prefers, 0.5 to 1, and
the outcome is whether that response is the chosen one. A tie has probability 0.5 and is half right.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_ndtr, ndtr

from evaluation.bootstrap import FEWER_RESAMPLES, Estimate, draws, sums_by_prompt
from gating.decision import standardised

BINS = 10
"""Number of bins, of equal width from 0.5 to 1."""

LARGEST = 37.0
"""Standard errors beyond which a Gaussian tail is 0 in float64; it bounds the log loss of a margin without an error."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs with about the same probability."""

    low: float
    high: float
    pairs: int
    confidence: float | None
    """Mean probability of the preferred response; NaN in an empty bin, None where it was read from JSON."""
    right: float | None
    """Fraction of the pairs in which the preferred response is the chosen one."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of one rule's score gaps at one temperature, or of its probabilities from standard errors."""

    temperature: float | None
    """None for probabilities from standard errors."""
    pairs: int
    expected_error: Estimate
    """Mean distance between confidence and accuracy of the bins, weighted by their pairs."""
    brier: Estimate
    """Mean squared distance of the chosen response's probability from 1; 0.25 for probabilities of 0.5."""
    log_loss: Estimate
    """Mean -log of the chosen response's probability; log 2 for probabilities of 0.5."""
    bins: tuple[Bin, ...]


def fit_temperature(gaps: NDArray[np.float64]) -> float | None:
    """The T with the highest likelihood of sigmoid(gap / T) on pairs whose chosen response is known.

    The log-likelihood is concave in 1 / T, so its derivative has one root.

    Args:
        gaps: (p,) finite; score of the chosen response less that of the rejected.

    Returns:
        None where no T is best: the rule is no better than chance (a larger T is always better), or never wrong (a
        smaller T is).
    """
    if len(gaps) == 0 or gaps.sum() <= 0 or (gaps >= 0).all():
        return None
    scale = float(np.abs(gaps).mean())
    unit = gaps / scale

    def slope(inverse: float) -> float:
        return float(unit @ expit(-inverse * unit))

    upper = 1.0
    while slope(upper) > 0:
        upper *= 2.0
    return scale / float(brentq(slope, 0.0, upper, xtol=1e-12))


def calibration(
    gaps: NDArray[np.float64], prompt: NDArray[np.integer], temperature: float, seed: int = 0
) -> Calibration:
    """Calibration of score gaps under a temperature; intervals by bootstrap over prompts.

    Args:
        gaps: (p,) finite; score of the chosen response less that of the rejected.
        prompt: (p,) which prompt each pair belongs to.
        temperature: above 0.
        seed: seed of the bootstrap.
    """
    scaled = gaps / temperature
    losses = np.stack([expit(-scaled) ** 2, np.logaddexp(0.0, -scaled)], axis=-1)  # (p, 2)
    return _calibration(temperature, gaps, expit(np.abs(scaled)), losses, prompt, seed)


def calibration_of_errors(
    gaps: NDArray[np.float64], std: NDArray[np.float64], prompt: NDArray[np.integer], seed: int = 0
) -> Calibration:
    """Calibration of the probability Phi(gap / std) that the chosen response is better.

    Args:
        gaps: (p,) finite; score of the chosen response less that of the rejected.
        std: (p,) standard errors of the gaps.
        prompt: (p,) which prompt each pair belongs to.
        seed: seed of the bootstrap.
    """
    z = np.clip(standardised(gaps, std), -LARGEST, LARGEST)  # (p,)
    losses = np.stack([ndtr(-z) ** 2, -log_ndtr(z)], axis=-1)  # (p, 2)
    return _calibration(None, gaps, ndtr(np.abs(z)), losses, prompt, seed)


def _calibration(
    temperature: float | None,
    gaps: NDArray[np.float64],
    confidence: NDArray[np.float64],
    losses: NDArray[np.float64],
    prompt: NDArray[np.integer],
    seed: int,
) -> Calibration:
    """From gaps and confidences (p,), Brier scores and log losses (p, 2)."""
    right = 0.5 * (1.0 + np.sign(gaps))  # (p,)
    place = np.minimum(((confidence - 0.5) * 2 * BINS).astype(np.int64), BINS - 1)
    member = np.eye(BINS)[place]  # (p, bins)
    sums, counts = sums_by_prompt(np.concatenate([member * (confidence - right)[:, None], losses], axis=-1), prompt)
    figures = _figures(sums.sum(axis=0, keepdims=True), counts.sum(keepdims=True))[0]
    times = _multiplicities(len(counts), seed)  # (resamples, prompts)
    drawn = (times @ part.astype(np.float32) for part in (sums, counts))  # float32 is enough for the ends
    low, high = np.percentile(_figures(*drawn), [2.5, 97.5], axis=0)
    error, brier, loss = (Estimate(*map(float, ends)) for ends in zip(figures, low, high, strict=True))
    return Calibration(temperature, len(gaps), error, brier, loss, _bins(member, confidence, right))


@lru_cache(maxsize=1)
def _multiplicities(prompts: int, seed: int) -> NDArray[np.float32]:
    """All draws at once, cached since the next rule uses the same ones. Shape (resamples, prompts)."""
    times = np.empty((FEWER_RESAMPLES, prompts), dtype=np.float32)
    for number, drawn in enumerate(draws(prompts, FEWER_RESAMPLES, seed)):
        times[number] = drawn
    return times


def _figures(sums: NDArray[np.floating[Any]], counts: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Expected error, Brier score and log loss of sums over draws (r, bins + 2). Shape (r, 3)."""
    errors = np.abs(sums[:, :BINS]).sum(axis=-1, keepdims=True)
    return np.concatenate([errors, sums[:, BINS:]], axis=-1) / counts[:, None]


def _bins(member: NDArray[np.float64], confidence: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[Bin, ...]:
    edges = np.linspace(0.5, 1.0, BINS + 1)
    counts = member.sum(axis=0)
    with np.errstate(invalid="ignore"):
        means, rates = (values @ member / counts for values in (confidence, right))
    return tuple(
        Bin(float(edges[at]), float(edges[at + 1]), int(counts[at]), float(means[at]), float(rates[at]))
        for at in range(BINS)
    )
