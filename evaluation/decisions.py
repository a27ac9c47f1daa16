"""Decisions of a rule on pairs that may be left open: by the probability that A beats B, by the score gap, at random.

A pair is decided for the response that scores higher. Two confidences say which pairs to leave open first: the
probability Phi(|margin| / standard error), from the errors of the heads, and the gap |margin| alone, which every rule
has. Both keep the same decisions at coverage 1, so what differs is the order alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaluation.bootstrap import Estimate, reweighted
from evaluation.calibration import Calibration, calibration_of_errors
from evaluation.risk_coverage import RiskCoverage, drawn_areas, estimate, risk_at
from gating.decision import probability_better, standardised

CONFIDENT = 0.9
"""Probability above which a decision is called confident."""

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confident:
    """The decisions with a probability above `CONFIDENT`."""

    decided: Estimate
    """Fraction of the pairs."""
    mistakes: Estimate
    """Fraction of these decisions that are wrong; NaN without one, None where it was read from JSON."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """One rule on the pairs whose margin it knows, and where it has any, whose standard errors it knows."""

    pairs: int
    error: Estimate
    """Fraction of the pairs decided wrongly, a tie half: the expected area of random abstention too."""
    by_gap: RiskCoverage
    confident_by_gap: Confident | None
    """At the probability sigmoid(gap / T), with T fitted on held-out pairs; None without one."""
    by_probability: RiskCoverage | None
    """None for a rule whose scores have no standard error, as are the fields below."""
    confident_by_probability: Confident | None
    gain: Estimate | None
    """Area by the gap less that by the probability: what the errors add, which is nothing if its interval holds 0."""
    calibration: Calibration | None
    """The probabilities against the outcomes; `RuleAnalysis.calibration` has the gap's."""


def decisions(
    gaps: Real, std: Real, prompt: NDArray[np.integer], temperature: float | None, seed: int = 0
) -> Decisions | None:
    """Judge how well a rule knows which of its decisions are wrong.

    Args:
        gaps: (p,) score of the chosen response less that of the rejected; NaN where the rule did not score both.
        std: (p,) standard errors of the gaps; all NaN for a rule that has none.
        prompt: (p,) which prompt each pair belongs to.
        temperature: divisor of the gaps, fitted on held-out pairs; None where there is none.
        seed: seed of the bootstrap over prompts.

    Returns:
        None where the rule scored no pair.
    """
    known = ~np.isnan(gaps) & ~np.isnan(std)
    uncertain = bool(known.any())
    pairs = known if uncertain else ~np.isnan(gaps)
    if not pairs.any():
        return None
    gaps, std, prompt = gaps[pairs], std[pairs], prompt[pairs]
    wrong = 0.5 * (1.0 - np.sign(gaps))  # (p,)
    margins = np.abs(gaps)
    ways = [-wrong, np.zeros(len(wrong)), margins]  # the oracle, at random, by the gap
    if uncertain:
        ways.append(standardised(margins, std))  # the order of the probabilities, which round to 1
    drawn = drawn_areas(ways, wrong, prompt, seed)  # (1 + draws, ways)

    def order(number: int) -> RiskCoverage:
        return RiskCoverage(
            estimate(drawn[:, number]), estimate(drawn[:, number] - drawn[:, 0]), risk_at(ways[number], wrong)
        )

    def confident(probability: Real) -> Confident:
        return _confident(probability, wrong, prompt, seed)

    return Decisions(
        pairs=len(gaps),
        error=estimate(drawn[:, 1]),
        by_gap=order(2),
        confident_by_gap=None if temperature is None else confident(expit(margins / temperature)),
        by_probability=order(3) if uncertain else None,
        confident_by_probability=confident(probability_better(margins, std)) if uncertain else None,
        gain=estimate(drawn[:, 2] - drawn[:, 3]) if uncertain else None,
        calibration=calibration_of_errors(gaps, std, prompt, seed) if uncertain else None,
    )


def _confident(probability: Real, wrong: Real, prompt: NDArray[np.integer], seed: int) -> Confident:
    sure = (probability > CONFIDENT).astype(np.float64)  # (p,)

    def figures(weights: Real) -> Real:
        decided = weights @ sure
        mistakes = (weights * sure) @ wrong / decided if decided > 0.0 else np.nan
        return np.array([decided / weights.sum(), mistakes])

    return Confident(*reweighted(figures, prompt, seed))
