"""Paired tests of rules on the same rows, corrected for the number of tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from evaluation.bootstrap import Interval, by_prompt

EQUAL = 1e-9
"""Outcomes of a prompt that differ by less are equal: sums of fractions are rounded."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rule compared with the reference rule, on the rows that both judged."""

    rows: int
    lead: float
    """Mean outcome less the reference's."""
    low: float
    """Lower end of the lead's 95 % bootstrap interval."""
    high: float
    better: int
    """Number of prompts whose rows the rule judges better than the reference does."""
    worse: int
    p: float
    """Two-sided, that better and worse are equally likely: exact McNemar."""
    p_corrected: float
    """p after Holm's correction for all compared rules."""


def compare(
    outcomes: Mapping[str, NDArray[np.float64]], prompt: NDArray[np.integer], reference: str, seed: int = 0
) -> dict[str, Comparison]:
    """Compare every rule with a reference rule.

    McNemar's exact test (McNemar 1947; the binomial form) takes each row as one independent trial. Rows that share
    a prompt are not independent, so a trial is a prompt, whose rows the rule judges better or worse in sum. With one
    row per prompt this is McNemar's test itself.

    Args:
        outcomes: rule -> (n,) how right each row was judged, 0 to 1; NaN where the rule did not judge it.
        prompt: (n,) which prompt each row belongs to.
        reference: a rule of `outcomes`.
        seed: seed of the bootstrap.

    Returns:
        Comparisons by rule, without the reference and without rules that share no row with it.
    """
    base = outcomes[reference]
    complete = ~np.isnan(base)
    together = {name for name, values in outcomes.items() if np.array_equal(~np.isnan(values), complete)}
    leads: dict[str, Interval] = {}
    if complete.any():
        _, leads = by_prompt({name: outcomes[name][complete] for name in together}, prompt[complete], reference, seed)
    tests = {}
    for name, values in outcomes.items():
        both = complete & ~np.isnan(values)
        if name == reference or not both.any():
            continue
        if name not in together:
            judged = {reference: base[both], name: values[both]}
            leads[name] = by_prompt(judged, prompt[both], reference, seed)[1][name]
        net = np.bincount(prompt[both], values[both] - base[both])  # (prompts,)
        tests[name] = (int(both.sum()), int((net > EQUAL).sum()), int((net < -EQUAL).sum()))
    p = [sign_test(better, worse) for _, better, worse in tests.values()]
    return {
        name: Comparison(rows, leads[name].accuracy, leads[name].low, leads[name].high, better, worse, own, corrected)
        for (name, (rows, better, worse)), own, corrected in zip(tests.items(), p, holm(p), strict=True)
    }


def sign_test(better: int, worse: int) -> float:
    """Two-sided p-value of `better` and `worse` under a fair coin; 1 where both are 0."""
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction (Holm 1979), which is valid for dependent tests too."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(order))
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p)[order] * factors), 1.0)
    return [float(value) for value in corrected]
