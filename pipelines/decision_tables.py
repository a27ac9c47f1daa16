"""Tables of decisions that `armorm analyse` prints: when to abstain, and the best of several responses."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from evaluation.bootstrap import Estimate
    from evaluation.decisions import Confident
    from evaluation.results import Analysis


def decisions_table(analysis: "Analysis", recipe: str) -> "Table":
    """Each rule's areas under risk against coverage, and its confident mistakes."""
    from rich.table import Table

    from evaluation.decisions import CONFIDENT
    from evaluation.numbers import percent

    caption = (
        "area: mean share of mistakes over all coverages when the least confident pairs are left open first (AURC); at"
        " random it is the share of mistakes. gain: area by the gap less area by the probability that A beats B, which"
        " takes the errors of the heads in; they add nothing where its interval holds 0. confident: pairs above"
        f" probability {CONFIDENT:g}, and the mistakes among them; the gap's probability is at the temperature fitted"
        " on held-out pairs. All in per cent."
    )
    table = Table("rule", title=f"{recipe}: {analysis.suite}, when to abstain", caption=caption)
    headings = (
        "at random",
        "area by gap",
        "by probability",
        "gain (95 % interval)",
        "confident by gap",
        "by probability",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading.startswith("gain"))
    for rule, found in analysis.rules.items():
        if (own := found.decisions) is not None:
            by_probability = own.by_probability.area.value if own.by_probability else None
            confident = (own.confident_by_gap, own.confident_by_probability)
            figures = (percent(area) for area in (own.error.value, own.by_gap.area.value, by_probability))
            table.add_row(rule_name(rule), *figures, _gain(own.gain), *map(_confident, confident))
    return table


def _gain(gain: "Estimate | None") -> str:
    """A difference of areas with its interval."""
    from evaluation.numbers import signed

    if gain is None:
        return ""
    value, low, high = (signed(None if end is None else 100 * end, 1) for end in (gain.value, gain.low, gain.high))
    return f"{value} ({low} to {high})"


def _confident(found: "Confident | None") -> str:
    """Share of the pairs, and of mistakes among them."""
    from evaluation.numbers import percent

    return "" if found is None else f"{percent(found.decided.value)}: {percent(found.mistakes.value)}"


def choices_table(analysis: "Analysis") -> "Table":
    """The best of all responses, chosen in three ways."""
    from rich.table import Table

    from evaluation.numbers import percent

    found = analysis.choices
    assert found is not None
    title = f"{analysis.suite}: share correct of the best of all responses, {found.rows:,} rows, in per cent"
    caption = f"lower bound: score less {found.deviations:g} standard error. Leads over the mean, 95 % interval."
    table = Table("rule", title=title, caption=caption)
    for heading in ("by mean", "by lower bound", "lead", "by probability of being best", "lead"):
        table.add_column(heading, justify="right", no_wrap=heading == "lead")
    for rule, ways in found.rules.items():
        cells = [percent(ways["mean"].right.accuracy)]
        for way in ("lower_bound", "probability"):
            lead = ways[way].lead
            assert lead is not None
            ends = f"{100 * lead.accuracy:+.1f} ({100 * lead.low:+.1f} to {100 * lead.high:+.1f})"
            cells += [percent(ways[way].right.accuracy), ends]
        table.add_row(rule_name(rule), *cells)
    table.add_section()
    table.add_row("random pick", percent(found.chance))
    return table


def rule_name(rule: str) -> str:
    """Title of a rule in tables; its own name where it has none."""
    from evaluation.rule_names import RULE_NAMES

    return RULE_NAMES.get(rule, (rule, ""))[0]
