"""The table of what marks of style do to the rules on a suite's pairs."""

from typing import TYPE_CHECKING

from pipelines.decision_tables import rule_name

if TYPE_CHECKING:
    from rich.table import Table

    from evaluation.results import Analysis


def style_table(analysis: "Analysis", name: str) -> "Table":
    """Accuracy of every rule where the chosen response has more marks of a kind, and where it has fewer.

    Args:
        analysis: of a suite.
        name: the recipe's.
    """
    from rich.table import Table

    from evaluation.numbers import percent
    from extract.style import STYLE

    caption = (
        "pairs judged right where the chosen response has more marks, and where it has fewer, in per cent. One of the"
        " gate's two rules weighs the rewards as they were before debiasing."
    )
    table = Table("rule", title=f"{name}: {analysis.suite}, pairs by marks of style", caption=caption)
    for mark in STYLE:
        table.add_column(f"more {mark}", justify="right")
        table.add_column("fewer", justify="right")
    for rule, found in analysis.rules.items():
        slices = [found.style[mark].slices if mark in found.style else {} for mark in STYLE]
        parts = (each.get(part) for each in slices for part in ("chosen_more", "chosen_fewer"))
        table.add_row(rule_name(rule), *(percent(part.right.accuracy if part else None) for part in parts))
    table.add_section()
    counts = analysis.rules[analysis.reference].style
    of_reference = [counts[mark].slices if mark in counts else {} for mark in STYLE]
    numbers = (each.get(part) for each in of_reference for part in ("chosen_more", "chosen_fewer"))
    table.add_row("pairs", *(f"{part.pairs if part else 0:,}" for part in numbers))
    return table
