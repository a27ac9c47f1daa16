"""Accuracy of each rule, and of each objective alone, on the held-out pairs, with bootstrap intervals."""

from collections.abc import Mapping

from evaluation.bootstrap import by_prompt
from evaluation.calibration import fit_temperature
from gating.inputs import GateInputs
from gating.results import Interval, RuleMetrics
from gating.rules import RULES
from gating.rules.rule import Arrays, Responses

REFERENCE = "uniform"
"""The rule that leads are measured from: equal weights."""


def contradiction(rules: Mapping[str, RuleMetrics]) -> str | None:
    """One sentence if equal weights judge the held-out pairs significantly worse than chance."""
    uniform = rules[REFERENCE]
    if uniform.high >= 0.5:
        return None
    return (
        f"equal weights judge {uniform.accuracy:.0%} of the held-out pairs right, significantly less than half: the"
        " pairs contradict the objectives; check which side of each pair set is the chosen one"
    )


def held_out_accuracies(
    inputs: GateInputs,
    chosen: Responses,
    rejected: Responses,
    fitted: Mapping[str, Arrays],
    objectives: tuple[str, ...],
) -> tuple[dict[str, RuleMetrics], dict[str, dict[str, int | float]], dict[str, float]]:
    """Accuracies on the decided validation pairs; a tie of the scores counts as wrong.

    Returns:
        Rule -> metrics; pair set -> `pairs`, and rule -> accuracy; objective -> accuracy of its reward alone.
    """
    rows = inputs.rows("validation", decided=True)
    gaps = {
        name: rule.scores(chosen, fitted[name]) - rule.scores(rejected, fitted[name]) for name, rule in RULES.items()
    }
    right = {name: gap > 0 for name, gap in gaps.items()}
    accuracies, leads = by_prompt(right, inputs.prompt[rows], REFERENCE)
    datasets = inputs.table["dataset"].to_numpy()[rows]
    rules = {
        name: RuleMetrics(
            accuracies[name].accuracy,
            accuracies[name].low,
            accuracies[name].high,
            Interval(leads[name].accuracy, leads[name].low, leads[name].high),
            fit_temperature(gaps[name]),
        )
        for name in RULES
    }
    by_dataset: dict[str, dict[str, int | float]] = {
        str(dataset): {"pairs": int((datasets == dataset).sum())}
        | {rule: float(outcome[datasets == dataset].mean()) for rule, outcome in right.items()}
        for dataset in dict.fromkeys(datasets)
    }
    alone = (chosen.rewards > rejected.rewards).mean(axis=0).astype(float).tolist()
    return rules, by_dataset, dict(zip(objectives, alone, strict=True))
