"""`armorm eval`: suites judged by every aggregation rule, from stored features."""

import logging
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from evaluation.suites import SUITES
from pipelines.suite_names import SET_OF_RECIPE, suite_named
from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from rich.table import Table

    from evaluation.results import RuleScore
    from evaluation.results import Suite as SuiteResult
    from evaluation.suites.suite import Suite
    from gating.fitted_rules import FittedRules
    from heads.kinds.fitted import PairwiseHeads
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm eval --recipe recipes/demo.toml --suite rewardbench"

ALL = "all"

WIDEST = 7
"""Most columns of figures that fit beside the names of rules."""

SIDE_BY_SIDE = ("gate", "uniform", "bradley_terry", "length")
"""The rules of a table that has a line for each of many figures."""


def command(
    recipe: RecipeOption,
    suite: Annotated[
        str,
        typer.Option(
            metavar=f"[{'|'.join([*SUITES, ALL, SET_OF_RECIPE])}]",
            help=f"The suite to judge; {ALL}: every one of the recipe.",
        ),
    ] = "rewardbench",
    plots: Annotated[bool, typer.Option("--plots", help="Draw `runs/<recipe>/plots/` too; needs matplotlib.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge suites' rows by every aggregation rule, from stored features."""
    run = open_run(recipe)
    if suite != ALL:
        suite = suite_named(suite, run.recipe)
    if plots:
        from evaluation.gate_plots import check_plots

        check_plots()
    with run.writing():
        results = evaluate(run, None if suite == ALL else [suite])
        if plots:
            from evaluation.gate_plots import plot_coefficients
            from pipelines.artefacts import PLOTS

            for result in results.values():
                plot_coefficients(result, run.path(PLOTS))
    if suite == ALL:
        finish(results, as_json, lambda: show_all(results, run))
    else:
        finish(results[suite], as_json, lambda: show(results[suite], run))


def evaluate(run: "Run", names: "list[str] | None" = None) -> "dict[str, SuiteResult]":
    """Score suites' rows with every rule; write `<suite>.json` and `scores/<suite>.parquet` of each.

    A row whose features are missing is named and not judged.

    Args:
        run: of the recipe.
        names: of suites; None: all of which the run's tables hold rows.

    Returns:
        Suite -> its result.

    Raises:
        UserError: an earlier command is missing, or there is no row of a suite.
    """
    import polars as pl

    from pipelines.artefacts import SUITE_ROWS
    from pipelines.fitted import fitted_rules, pairwise_heads

    rules, heads = fitted_rules(run), pairwise_heads(run)
    table = run.table(SUITE_ROWS)
    rows = {}
    for name in names or SUITES:
        sets = [settings.name for settings in run.recipe.suites if settings.source in SUITES[name].sources]
        rows[name] = table.filter(pl.col("suite").is_in(sets))
    if names is None and all(part.is_empty() for part in rows.values()):
        raise UserError("there is no row of any suite: add [[suites]] tables to the recipe, and extract again")
    return {
        name: _judge(run, SUITES[name], part, rules, heads)
        for name, part in rows.items()
        if names is not None or not part.is_empty()
    }


def _judge(
    run: "Run", suite: "Suite", rows: "pl.DataFrame", rules: "FittedRules", heads: "PairwiseHeads"
) -> "SuiteResult":
    from dataclasses import replace

    from cache.keys import key_column
    from evaluation.judging import judge_suite, with_features
    from evaluation.score_errors import score_errors
    from evaluation.scored import scored_frame
    from evaluation.scorers.beside_rules import scores_of, tables_of
    from gating.measured import Measured
    from pipelines.artefacts import SKIPPED
    from pipelines.artefacts import suite as artefact

    started = time.monotonic()
    store, objectives = run.store, rules.parts.objectives
    judged, missing = with_features(store, rows)
    if judged.is_empty() and missing:
        raise UserError(
            f"none of the {len(missing)} rows of {suite.name} can be judged; the first, {missing[0].row!r}:"
            f" {missing[0].missing}; see {run.path(SKIPPED)}"
        )
    if judged.is_empty():
        sources = " or ".join(f"source = {source!r}" for source in suite.sources)
        raise UserError(
            f"there is no row of {suite.name} to judge: add a [[suites]] table with {sources} to the recipe,"
            " and extract again"
        )
    for row in missing:
        log.warning("not judged: %s, row %s: %s", row.suite, _printable(row.row), row.missing)

    judged = judged.with_columns(section=suite.section)
    keys = key_column(judged["response_key"])
    responses = rules.responses(store, key_column(judged["prompt_key"]), keys, Measured.of_rows(judged))
    scores = rules.scores(responses) | heads.scores(store, keys)
    scorers = scores_of(run.scorers(suite.name), judged)
    tables = tables_of(suite, judged, scorers)
    result = judge_suite(suite, judged, missing, scores, tables, responses, objectives, run.recipe.note)
    sets = judged["suite"].unique(maintain_order=True)
    overlap = {name: run.extracted.overlap[name] for name in sets if name in run.extracted.overlap}
    result = replace(result, overlap=overlap, seconds=time.monotonic() - started)
    errors = score_errors(rules.parts, store, judged, rules.reward_weights(responses))
    frame = scored_frame(judged, scores | scorers, responses, objectives, errors)
    run.write(artefact(suite.name), result, rows=frame)
    return result


def _printable(name: str) -> str:
    """A row's name as a data set gives it, without what a terminal would obey."""
    return name if name.isprintable() else ascii(name)


def show_all(results: "dict[str, SuiteResult]", run: "Run") -> None:
    """Print each suite's table, then one line a suite."""
    from rich.table import Table

    from evaluation.rule_names import RULE_NAMES

    for result in results.values():
        show(result, run)
    table = Table("suite", title=f"{run.recipe.name}: all suites")
    shown = [rule for rule in SIDE_BY_SIDE if all(rule in result.rules for result in results.values())]
    for heading in ("rows", *(RULE_NAMES[rule][1] for rule in shown)):
        table.add_column(heading, justify="right")
    for result in results.values():
        table.add_row(result.title, f"{result.rows:,}", *(_with_interval(result.rules[rule]) for rule in shown))
    console().print(table)


def show(result: "SuiteResult", run: "Run") -> None:
    """Print a suite's table: every rule of this run, and for RewardBench the published rows."""
    from rich.table import Table

    from evaluation.numbers import percent
    from evaluation.published import PUBLISHED
    from evaluation.rule_names import RULE_NAMES
    from extract.overlap import overlap_lines
    from pipelines.artefacts import suite as artefact

    suite = SUITES[result.suite]
    gate = result.rules["gate"]
    sections = suite.sections or tuple(gate.sections)
    table = Table("model", "method", title=_title(result, run), caption=suite.caption)
    for heading in ("score", *sections):
        table.add_column(heading, justify="right")
    for rule, scored in result.rules.items():
        figures = (scored.score, *(scored.sections.get(section) for section in sections))
        table.add_row(*RULE_NAMES.get(rule, (rule, "")), *map(percent, figures))
    if suite.name == "rewardbench":
        table.add_section()
        for row in PUBLISHED:
            cells = (f"{value:.1f}" for value in (row.score, *row.sections))
            table.add_row(f"published: {row.model}", row.method, *cells, style="dim")
    out = console()
    if run.recipe.note:
        out.print(run.recipe.note, style="bold")
    out.print(table)
    out.print(
        f"score of {RULE_NAMES['gate'][0]} with its 95 % interval: {_with_interval(gate)}",
        highlight=False,
    )
    for line in overlap_lines(result.overlap, dropped=run.recipe.split.drop_overlap):
        out.print(line, highlight=False)
    for title in gate.extra:
        out.print(_extra(suite, title, result.rules))
    if result.missing:
        out.print(f"{result.missing} rows could not be judged and count neither way; they are named in the JSON")
    out.print(_gate_weights(result))
    out.print(f"all subsets with their intervals: {run.path(artefact(result.suite))}")


def _title(result: "SuiteResult", run: "Run") -> str:
    from evaluation.suites.reward_bench import PRIOR_SECTION, ROWS, SECTION_OF

    subsets = result.rules["gate"].subsets
    if result.suite != "rewardbench":
        return f"{run.recipe.name}: {result.title}, {result.rows:,} rows in {len(subsets)} subsets"
    rows = sum(subset.rows for name, subset in subsets.items() if SECTION_OF[name] != PRIOR_SECTION)
    return (
        f"{run.recipe.name}: {len(subsets)} of {len(SECTION_OF)} subsets, {rows:,} rows without Prior Sets"
        f" (RewardBench: {ROWS:,})"
    )


def _extra(suite: "Suite", title: str, rules: "Mapping[str, RuleScore]") -> "Table":
    """A further table of a suite: a line a rule, or where it is too wide a line a figure."""
    from rich.table import Table

    from evaluation.numbers import percent
    from evaluation.rule_names import RULE_NAMES

    columns = list(rules["gate"].extra[title])
    heading = f"{suite.title}: {title}"
    if len(columns) <= WIDEST:
        table = Table("model", "method", title=heading)
        for column in columns:
            table.add_column(column, justify="right")
        for rule, scored in rules.items():
            estimates = [scored.extra.get(title, {}).get(column) for column in columns]
            figures = (percent(estimate.value) if estimate else percent(None) for estimate in estimates)
            table.add_row(*RULE_NAMES.get(rule, (rule, "")), *figures)
        return table
    table = Table("", title=heading)
    shown = [rule for rule in SIDE_BY_SIDE if rule in rules]
    for rule in shown:
        table.add_column(RULE_NAMES[rule][1], justify="right")
    for column in columns:
        table.add_row(column, *(percent(rules[rule].extra[title][column].value) for rule in shown))
    return table


def _gate_weights(result: "SuiteResult") -> "Table":
    """The gate's mean weight of each objective in each section, and how spread out its weights are there."""
    from rich.table import Table

    table = Table("objective", title="what counts where: mean share of the gate's weight, in per cent")
    sections, summaries = result.gate_by_section, result.gate_summary_by_section
    for section in sections:
        table.add_column(section, justify="right")
    for objective in next(iter(sections.values()), {}):
        table.add_row(objective, *(f"{100 * weights[objective]:.0f}" for weights in sections.values()))
    table.add_section()
    table.add_row("entropy (1 is equal weights)", *(f"{summaries[name].entropy:.2f}" for name in sections))
    table.add_row("strongest objective of a prompt", *(f"{100 * summaries[name].top_share:.0f}" for name in sections))
    return table


def _with_interval(scored: "RuleScore") -> str:
    from evaluation.numbers import percent

    return f"{percent(scored.score)} ({percent(scored.score_low)} to {percent(scored.score_high)})"
