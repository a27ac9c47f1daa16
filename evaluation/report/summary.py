"""A run in one sentence and in a few figures."""

from dataclasses import dataclass

from evaluation.report.filters import count, number, percent
from evaluation.report.inputs import ReportInputs


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, and the figure to compare it with."""

    what: str
    value: str
    beside: str
    """The figure to compare it with, in words."""


def sentence(run: ReportInputs) -> str:
    """The main figures of a run, as far as it has gone."""
    parts = []
    for suite in list(run.suites.values())[:1]:
        gate = suite.rules["gate"]
        beside = [
            f"{words} {percent(suite.rules[rule].score)}"
            for rule, words in (("uniform", "equal weights"), ("length", "length alone"))
            if rule in suite.rules
        ]
        parts.append(
            f"the gate scores {percent(gate.score)} on the {count(suite.rows)} rows of"
            f" {suite.title}{_interval(gate.score_low, gate.score_high)}"
            + (f", {' and '.join(beside)}" if beside else "")
        )
    if run.gating:
        judged = run.gating.rules["gate"]
        parts.append(
            f"of {count(run.gating.validation_pairs)} held-out preferences it judges"
            f" {percent(judged.accuracy)}\u00a0% right{_interval(judged.low, judged.high)}"
        )
    elif run.heads:
        parts.append(f"{len(run.objectives)} heads are fitted; there is no gate yet")
    else:
        parts.append(f"the features of {count(run.extract.rows)} rows are there; nothing is fitted yet")
    whole = "; ".join(parts)
    return f"{whole[0].upper()}{whole[1:]}."


def tiles(run: ReportInputs) -> list[Tile]:
    """The figures a reader looks for first."""
    made = []
    for suite in list(run.suites.values())[:4]:
        uniform = suite.rules.get("uniform")
        beside = f"equal weights {percent(uniform.score)}" if uniform else ""
        made.append(Tile(suite.title, percent(suite.rules["gate"].score), beside))
    if run.gating:
        rules = run.gating.rules
        beside = f"equal weights {percent(rules['uniform'].accuracy)} %"
        made.append(Tile("held-out pairs judged right", f"{percent(rules['gate'].accuracy)} %", beside))
    heads = run.heads.objectives.values() if run.heads else ()
    correlations = sorted(head.pearson for head in heads if head.pearson is not None)
    if correlations:
        middle = number(correlations[len(correlations) // 2], 2)
        ends = f"{number(correlations[0], 2)} to {number(correlations[-1], 2)}"
        made.append(Tile("Pearson of the heads, median", middle, ends))
    made.append(Tile("rows read", count(run.extract.rows), f"{count(run.extract.skipped)} skipped"))
    return made


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f" (95 % interval {percent(low)} to {percent(high)})"
