"""A run in one sentence and in a few figures."""

from dataclasses import dataclass

from evaluation.report.numbers import count, number, percent
from evaluation.report.run import Run
from evaluation.report.suite_tables import title_of


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, and what it has to be seen beside."""

    what: str
    value: str
    beside: str


def sentence(run: Run) -> str:
    """What came out, as far as the run has gone."""
    told = []
    for suite in list(run.suites.values())[:1]:
        rules = suite["rules"]
        beside = [
            f"{words} {percent(rules[rule]['score'])}"
            for rule, words in (("uniform", "equal weights"), ("length", "length alone"))
            if rule in rules
        ]
        told.append(
            f"the gate scores {percent(rules['gate']['score'])} on the {count(suite['rows'])} rows of"
            f" {title_of(suite)}{_interval(rules['gate'], 'score_low', 'score_high')}"
            + (f", {' and '.join(beside)}" if beside else "")
        )
    if run.gating:
        gate = run.gating["rules"]["gate"]
        told.append(
            f"of {count(run.gating['validation_pairs'])} held-out preferences it judges"
            f" {percent(gate['accuracy'])}\u00a0% right{_interval(gate, 'low', 'high')}"
        )
    elif run.heads:
        told.append(f"{len(run.objectives)} heads are fitted; there is no gate yet")
    else:
        told.append(f"the features of {count(run.extract['rows'])} rows are there; nothing is fitted yet")
    whole = "; ".join(told)
    return f"{whole[0].upper()}{whole[1:]}."


def tiles(run: Run) -> list[Tile]:
    """The figures a reader looks for first."""
    made = []
    for suite in list(run.suites.values())[:4]:
        rules = suite["rules"]
        beside = f"equal weights {percent(rules['uniform']['score'])}" if "uniform" in rules else ""
        made.append(Tile(title_of(suite), percent(rules["gate"]["score"]), beside))
    if run.gating:
        rules = run.gating["rules"]
        beside = f"equal weights {percent(rules['uniform']['accuracy'])} %"
        made.append(Tile("held-out pairs judged right", f"{percent(rules['gate']['accuracy'])} %", beside))
    heads = [head["pearson"] for head in run.heads.get("objectives", {}).values() if head["pearson"] is not None]
    if heads:
        middle = sorted(heads)[len(heads) // 2]
        made.append(
            Tile(
                "Pearson of the heads, median", number(middle, 2), f"{number(min(heads), 2)} to {number(max(heads), 2)}"
            )
        )
    made.append(Tile("rows read", count(run.extract["rows"]), f"{count(run.extract['skipped'])} skipped"))
    return made


def _interval(of: dict[str, float | None], low: str, high: str) -> str:
    if of.get(low) is None:
        return ""
    return f" (95 % interval {percent(of[low])} to {percent(of[high])})"
