"""What `armorm eval` prints for people."""

from rich.table import Table

from evaluation import results
from evaluation.numbers import percent
from evaluation.published import PUBLISHED
from evaluation.rule_names import RULE_NAMES
from evaluation.suites import SUITES
from evaluation.suites.reward_bench import PRIOR_SECTION, ROWS, SECTION_OF
from evaluation.suites.suite import Suite
from gating.collapse import GateSummary
from pipelines.recipe import Recipe
from pipelines.show import console

WIDEST = 7
"""Columns of figures that fit beside the names of rules."""

SIDE_BY_SIDE = ("gate", "uniform", "bradley_terry", "length")
"""The rules of a table that has a line for each of many figures."""


def show_suites(judged: dict[str, results.Suite], recipe: Recipe) -> None:
    """Each suite's table, then one line a suite."""
    for result in judged.values():
        show_suite(result, recipe)
    table = Table("suite", title=f"{recipe.name}: all suites")
    shown = [rule for rule in SIDE_BY_SIDE if all(rule in result.rules for result in judged.values())]
    for heading in ("rows", *(RULE_NAMES[rule][1] for rule in shown)):
        table.add_column(heading, justify="right")
    for result in judged.values():
        figures = (_with_interval(result.rules[rule]) for rule in shown)
        table.add_row(result.title, f"{result.rows:,}", *figures)
    console().print(table)


def show_suite(result: results.Suite, recipe: Recipe) -> None:
    """A suite's table: every rule of this run, and for RewardBench the published rows."""
    suite = SUITES[result.suite]
    sections = suite.sections or tuple(result.rules["gate"].sections)
    table = Table("model", "method", title=_title(result, recipe), caption=suite.caption)
    for heading in ("score", *sections):
        table.add_column(heading, justify="right")
    for rule, scored in result.rules.items():
        figures = (scored.score, *(scored.sections.get(section) for section in sections))
        table.add_row(*RULE_NAMES.get(rule, (rule, "")), *map(percent, figures))
    if suite.name == "rewardbench":
        table.add_section()
        for row in PUBLISHED:
            shares = (f"{value:.1f}" for value in (row.score, *row.sections))
            table.add_row(f"published: {row.model}", row.method, *shares, style="dim")
    out = console()
    if recipe.note:
        out.print(recipe.note, style="bold")
    out.print(table)
    gate = result.rules["gate"]
    out.print(
        f"score of {RULE_NAMES['gate'][0]} with its 95 % interval: {_with_interval(gate)}",
        highlight=False,
    )
    for title in gate.extra:
        out.print(_extra(suite, title, result.rules))
    if result.missing:
        out.print(f"{result.missing} rows could not be judged and count neither way; they are named in the JSON")
    out.print(_coefficients(result.gate_by_section, result.gate_summary_by_section))
    out.print(f"all subsets with their intervals: {recipe.folder / (result.suite + '.json')}")


def _title(result: results.Suite, recipe: Recipe) -> str:
    subsets = result.rules["gate"].subsets
    if result.suite != "rewardbench":
        return f"{recipe.name}: {result.title}, {result.rows:,} rows in {len(subsets)} subsets"
    rows = sum(subset.rows for name, subset in subsets.items() if SECTION_OF[name] != PRIOR_SECTION)
    return (
        f"{recipe.name}: {len(subsets)} of {len(SECTION_OF)} subsets, {rows:,} rows without Prior Sets"
        f" (RewardBench: {ROWS:,})"
    )


def _extra(suite: Suite, title: str, rules: dict[str, results.RuleScore]) -> Table:
    """A further table of a suite: a line a rule, or where it is too wide a line a figure."""
    columns = list(rules["gate"].extra[title])
    heading = f"{suite.title}: {title}"
    if len(columns) <= WIDEST:
        table = Table("model", "method", title=heading)
        for column in columns:
            table.add_column(column, justify="right")
        for rule, scored in rules.items():
            figures = scored.extra.get(title, {})  # a scorer may have judged none of its rows
            values = (figures[column].value if column in figures else None for column in columns)
            table.add_row(*RULE_NAMES.get(rule, (rule, "")), *map(percent, values))
        return table
    table = Table("", title=heading)
    shown = [rule for rule in SIDE_BY_SIDE if rule in rules]
    for rule in shown:
        table.add_column(RULE_NAMES[rule][1], justify="right")
    for column in columns:
        table.add_row(column, *(percent(rules[rule].extra[title][column].value) for rule in shown))
    return table


def _coefficients(gate_by_section: dict[str, dict[str, float]], summaries: dict[str, GateSummary]) -> Table:
    """The gate's mean share of each objective in each section, and how spread out its weights are there."""
    table = Table("objective", title="what counts where: mean share of the gate's weight, in per cent")
    for section in gate_by_section:
        table.add_column(section, justify="right")
    for objective in next(iter(gate_by_section.values()), {}):
        table.add_row(objective, *(f"{100 * shares[objective]:.0f}" for shares in gate_by_section.values()))
    table.add_section()
    table.add_row("entropy (1 is equal weights)", *(f"{summaries[name].entropy:.2f}" for name in gate_by_section))
    table.add_row(
        "strongest objective of a prompt", *(f"{100 * summaries[name].top_share:.0f}" for name in gate_by_section)
    )
    return table


def _with_interval(scored: results.RuleScore) -> str:
    low, high = percent(scored.score_low), percent(scored.score_high)
    return f"{percent(scored.score)} ({low} to {high})"
