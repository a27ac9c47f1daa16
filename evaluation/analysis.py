"""The rules on the pairs of a suite: which is better, what length does, what gaps mean, what abstaining spares."""

import time
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import UserError
from evaluation.best_of_n import best_of_n
from evaluation.bootstrap import where_judged
from evaluation.calibration import Calibration, calibration
from evaluation.choices import choices
from evaluation.comparison import compare
from evaluation.decisions import decisions
from evaluation.length_bias import length_bias, style_bias
from evaluation.pairs import PairScores, pairs_of
from evaluation.results import Analysis, RuleAnalysis, RuleCalibration

REFERENCE = "gate"
"""The rule that the others are compared with by default."""


def analyse_suite(
    suite: str,
    scored: pl.DataFrame,
    temperatures: Mapping[str, float | None],
    reference: str = REFERENCE,
    note: str = "",
) -> Analysis:
    """Compare the rules on a suite's scored responses.

    Everything is over pairs of a chosen and a rejected response, whatever the suite's own scoring.

    Args:
        suite: its name.
        scored: scored responses, as `evaluation.pairs.pairs_of` takes them.
        temperatures: rule -> divisor of its score gaps, fitted on held-out pairs; None where there is none.
        reference: the rule that the others are compared with.
        note: the recipe's.

    Raises:
        UserError: the reference is no rule of the suite.
    """
    started = time.monotonic()
    pairs = pairs_of(scored)
    if reference not in pairs.rules:
        raise UserError(f"--reference: {reference} is no rule here: name one of {', '.join(pairs.rules)}")
    outcomes = dict(zip(pairs.rules, pairs.row_outcomes().T, strict=True))
    accuracies = where_judged(outcomes, pairs.prompt)
    comparisons = compare(outcomes, pairs.prompt, reference)
    lengths, styles = length_bias(pairs), style_bias(pairs)
    prompt_of_pair = pairs.prompt[pairs.row]  # (p,)

    def of_rule(rule: str) -> RuleAnalysis:
        gaps = pairs.of(rule)  # (p,)
        ties, scored_pairs = int((gaps == 0).sum()), int((~np.isnan(gaps)).sum())
        return RuleAnalysis(
            rows=int((~np.isnan(outcomes[rule])).sum()),
            pairs_right=accuracies.get(rule),
            ties=ties,
            tied_fraction=ties / scored_pairs if scored_pairs else None,
            calibration=_calibrated(pairs, gaps, temperatures.get(rule)),
            comparison=comparisons.get(rule),
            length=lengths.get(rule),
            style=styles.get(rule, {}),
            decisions=decisions(gaps, pairs.std_of(rule), prompt_of_pair, temperatures.get(rule)),
        )

    return Analysis(
        suite=suite,
        note=note,
        reference=reference,
        rows=len(pairs.prompt),
        prompts=int(pairs.prompt.max()) + 1,
        pairs=len(pairs.row),
        rules={rule: of_rule(rule) for rule in pairs.rules},
        best_of_n=tuple(best_of_n(scored)),
        choices=choices(scored),
        seconds=time.monotonic() - started,
    )


def _calibrated(pairs: PairScores, gaps: NDArray[np.float64], temperature: float | None) -> RuleCalibration:
    """Calibration of the gaps (p,) that are not NaN, as they are and with the fitted temperature."""
    scored = ~np.isnan(gaps)
    if not scored.any():
        return RuleCalibration(None, None)
    prompt = pairs.prompt[pairs.row]  # (p,)

    def at(value: float | None) -> Calibration | None:
        return None if value is None else calibration(gaps[scored], prompt[scored], value)

    return RuleCalibration(at(1.0), at(temperature))
