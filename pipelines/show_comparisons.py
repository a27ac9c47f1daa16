"""What `armorm analyse`, `leaderboard` and `score-suite` print for people."""

from pathlib import Path

from rich.table import Table

from evaluation.comparison import Comparison
from evaluation.leaderboard import columns_of, lines_of
from evaluation.numbers import UNDEFINED, number, percent, probability
from evaluation.results import Analysis, JudgeScorer, Leaderboard, Ratings, Scorer
from evaluation.rule_names import RULE_NAMES
from pipelines.analyse import Analyses
from pipelines.leaderboard import CAPTION
from pipelines.recipe import Recipe
from pipelines.show import console

SURE = 0.05
"""Corrected p below which a difference is called shown."""


def show_analysis(result: Analyses, recipe: Recipe) -> None:
    """Each suite's rules beside the reference, then agreement with ratings."""
    out = console()
    if recipe.note:
        out.print(recipe.note, style="bold")
    for analysis in result.suites.values():
        out.print(_comparisons(analysis, recipe))
        if analysis.best_of_n:
            out.print(_best_of_n(analysis))
    out.print(_ratings(result.ratings, recipe))
    if not result.suites:
        out.print("no suite was evaluated yet: run `armorm eval`, and analyse again")
    out.print(f"intervals, reliability bins and slices: {recipe.folder}/<suite>.analysis.json and ratings.json")


def show_leaderboard(result: Leaderboard, recipe: Recipe) -> None:
    """One table a suite."""
    out = console()
    if recipe.note:
        out.print(recipe.note, style="bold")
    for board in result.suites.values():
        title = f"{recipe.name}: {board.title}, {board.rows:,} rows"
        table = Table("", "model", "method", title=title, caption=CAPTION)
        last = [entry for entry in board.entries if entry.kind != "published"][-1]
        for heading in ("score", "95 % interval", *columns_of(board.entries)):
            table.add_column(heading, justify="right")
        for entry, cells in zip(board.entries, lines_of(board.entries), strict=True):
            table.add_row(*cells, style="dim" if entry.kind == "published" else None, end_section=entry is last)
        out.print(table)
    out.print(f"{recipe.folder / 'leaderboard.md'}, {recipe.folder / 'leaderboard.json'}")


def show_scorer(result: Scorer, file: Path) -> None:
    """What was scored, and why something was not."""
    out = console()
    out.print(
        f"{result.name} ({result.method}): {result.rows - result.skipped:,} of {result.rows:,} rows of"
        f" {result.suite} judged, {result.new:,} answers new, {result.seconds:.1f} s; {file}",
        highlight=False,
    )
    if isinstance(result, JudgeScorer):
        out.print(
            f"{result.pairs:,} pairs asked in both orders: {result.inconsistent:,} inconsistent,"
            f" {result.tied:,} tied, {result.unparseable:,} answers without a verdict,"
            f" {result.unanswered:,} questions without an answer",
            highlight=False,
        )
    for reason, count in result.reasons.items():
        out.print(f"skipped: {count:,} × {reason}", highlight=False)
    out.print(f"beside the rules: armorm eval --suite {result.suite}, and armorm leaderboard")


def _comparisons(analysis: Analysis, recipe: Recipe) -> Table:
    title = f"{recipe.name}: {analysis.suite}, rules beside {_name(analysis.reference)}, {analysis.rows:,} rows"
    caption = (
        "pairs: chosen responses scored above rejected ones, a row's mean. p: exact McNemar over prompts, corrected by"
        f" Holm; a difference is shown below {SURE:g}. longer: accuracy where the chosen response is longer, and where"
        " it is shorter. calibration error: of sigmoid(score gap), and with the temperature fitted on held-out pairs."
    )
    table = Table("rule", title=title, caption=caption)
    for heading in ("pairs", "lead (95 % interval)", "p", "ties", "longer", "shorter", "calibration error"):
        table.add_column(heading, justify="right", no_wrap=heading.startswith("lead"))
    for rule, found in analysis.rules.items():
        slices = found.length.slices if found.length else {}
        by_length = (slices.get(name) for name in ("chosen_longer", "chosen_shorter"))
        errors = (found.calibration.as_is, found.calibration.fitted)
        table.add_row(
            _name(rule),
            percent(found.pairs_right.accuracy if found.pairs_right else None),
            *_lead(found.comparison),
            f"{found.ties:,}",
            *(percent(part.right.accuracy if part else None) for part in by_length),
            " / ".join(percent(error.expected_error.value if error else None) for error in errors),
        )
    return table


def _lead(comparison: Comparison | None) -> tuple[str, str]:
    """Lead with its interval, and p."""
    if comparison is None:
        return "reference", ""
    lead = f"{100 * comparison.lead:+.1f} ({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    return lead, probability(comparison.p_corrected)


def _best_of_n(analysis: Analysis) -> Table:
    points = analysis.best_of_n
    table = Table("rule", title=f"{analysis.suite}: share correct of the best of k responses, in per cent")
    for point in points:
        table.add_column(f"k = {point.k}", justify="right")
    for rule in analysis.rules:
        picked = (point.picked.get(rule) for point in points)
        table.add_row(_name(rule), *(percent(interval.accuracy if interval else None) for interval in picked))
    table.add_section()
    table.add_row("random pick", *(percent(point.chance) for point in points))
    table.add_row("if any is correct", *(percent(point.possible) for point in points))
    return table


def _ratings(ratings: Ratings, recipe: Recipe) -> Table:
    table = Table(title=f"{recipe.name}: heads on {ratings.rows:,} held-out rated responses")
    table.add_column("objective", no_wrap=True)
    table.add_column("data set", overflow="fold")
    for heading in ("rows", "Pearson (95 % interval)", "Spearman", "MSE", "AUC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for objective, datasets in ratings.objectives.items():
        for dataset, found in datasets.items():
            low, high = number(found.pearson.low, 2), number(found.pearson.high, 2)
            table.add_row(
                objective,
                dataset,
                f"{found.rows:,}",
                number(found.pearson.value, 2) + (f" ({low} to {high})" if low != UNDEFINED else ""),
                number(found.spearman.value, 2),
                number(found.mse.value, 3),
                number(found.auc.value, 2) if found.auc else "",
            )
    return table


def _name(rule: str) -> str:
    return RULE_NAMES.get(rule, (rule, ""))[0]
