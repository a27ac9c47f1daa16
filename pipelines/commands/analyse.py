"""`armorm analyse`: the rules compared on each suite, and the heads compared with held-out ratings."""

import logging
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.decision_tables import choices_table, decisions_table, rule_name
from pipelines.style_table import style_table
from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run, reporting

if TYPE_CHECKING:
    from rich.table import Table

    from cache.progress import Progress
    from evaluation.comparison import Comparison
    from evaluation.results import Analysis, Ratings
    from pipelines.results import Analyses
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm analyse --recipe recipes/demo.toml --reference bradley_terry"

SIGNIFICANT = 0.05
"""Corrected p below which a difference is called shown."""


def command(
    recipe: RecipeOption,
    reference: Annotated[str, typer.Option(help="The rule or scorer that the others are compared with.")] = "gate",
    as_json: JsonOption = False,
) -> None:
    """Compare the rules on every suite that was evaluated, and the heads with held-out ratings."""
    run = open_run(recipe)
    with run.writing(), reporting() as progress:
        result = analyse(run, reference, progress)
    finish(result, as_json, lambda: show(result, run))


def analyse(run: "Run", reference: str, progress: "Progress") -> "Analyses":
    """Analyse every suite with a current result, and the heads on held-out ratings, if any; write all files of both.

    Raises:
        UserError: an earlier command is missing, no result of a suite is current although there are some, or the
            reference is no rule.
    """
    from evaluation.analysis import analyse_suite
    from pipelines.artefacts import analysis, suite
    from pipelines.results import Analyses

    ratings = agreement(run, progress) if run.rated else None
    reasons: list[str] = []
    current = run.current_suites(reasons.append)
    if reasons and not current:
        raise UserError(reasons[0])
    for reason in reasons:
        log.warning("not analysed: %s", reason)
    divisors = temperatures(run) if current else {}
    suites = {}
    for name in current:
        suites[name] = analyse_suite(name, run.table(suite(name)), divisors, reference, run.recipe.note)
        run.write(analysis(name), suites[name])
    return Analyses(suites, ratings)


def temperatures(run: "Run") -> dict[str, float | None]:
    """Rule or head -> divisor of its score gaps, fitted on the held-out pairs of the gate's training."""
    from pipelines.artefacts import GATING, OTHER_HEADS

    found = {name: rule.score_temperature for name, rule in run.read(GATING).rules.items()}
    heads = run.current(OTHER_HEADS)
    return found | ({name: head.score_temperature for name, head in heads.pairwise.items()} if heads else {})


def agreement(run: "Run", progress: "Progress") -> "Ratings":
    """Compare the held-out ratings with heads that did not see them; write `ratings.json`.

    The run's own heads are refitted on the held-out rows too. These are the heads before that: fitted on the training
    rows with the same alphas. An alpha was chosen on these rows, one number an objective.

    Raises:
        UserError: the heads or their statistics are missing or out of date.
    """
    import polars as pl

    from cache.keys import unique_keys
    from evaluation.rating_agreement import agreement_by_dataset
    from evaluation.results import Ratings
    from heads.kinds.layers import LayerChoice
    from heads.ridge.estimator import train_only_heads
    from heads.ridge.files import load_statistics
    from heads.ridge.from_store import targets_of
    from heads.ridge.subset import VALIDATION
    from heads.stored import predict_stored
    from pipelines.artefacts import EXAMPLES, HEADS, RATINGS, STATISTICS

    started = time.monotonic()
    recipe, store = run.recipe, run.store
    heads = run.read(HEADS)
    run.require(STATISTICS)
    alphas = heads.alphas_by_objective()
    weights = train_only_heads(load_statistics(run.folder).statistics, alphas, recipe.heads)  # (k, m)
    layers = list(range(store.layers))
    chosen = layers if recipe.heads.layer is None else [recipe.heads.layer]
    weights = LayerChoice.of(layers, chosen, store.hidden_size).widen(weights)  # (k, layers * d)
    examples = run.table(EXAMPLES).filter(pl.col("split") == VALIDATION)
    names = [objective.name for objective in recipe.objectives]
    columns = [names.index(name) for name in alphas]
    targets = targets_of(examples, recipe.objectives, recipe.scales)[:, columns]  # (n, k)
    keys, (place,) = unique_keys(examples["response_key"])
    predicted = predict_stored(store, keys, weights, progress)[place]  # (n, k)
    _, (prompt,) = unique_keys(examples["prompt_key"])
    datasets = examples["dataset"].to_numpy()
    result = Ratings(
        objectives=agreement_by_dataset(predicted, targets, prompt, datasets, tuple(alphas)),
        fitted_on="training rows alone, with the alphas that the run chose",
        rows=len(examples),
        seconds=time.monotonic() - started,
    )
    run.write(RATINGS, result)
    return result


def show(result: "Analyses", run: "Run") -> None:
    """Print each suite's rules beside the reference, then agreement with ratings."""
    out = console()
    if run.recipe.note:
        out.print(run.recipe.note, style="bold")
    for analysis in result.suites.values():
        out.print(_comparisons(analysis, run))
        out.print(style_table(analysis, run.recipe.name))
        out.print(decisions_table(analysis, run.recipe.name))
        if analysis.best_of_n:
            out.print(_best_of_n(analysis))
        if analysis.choices is not None:
            out.print(choices_table(analysis))
    if result.ratings is not None:
        out.print(_ratings(result.ratings, run))
    if not result.suites:
        out.print("no suite was evaluated yet: run `armorm eval`, and analyse again")
    files = "<suite>.analysis.json" + (" and ratings.json" if result.ratings is not None else "")
    out.print(f"intervals, reliability bins and slices: {run.folder}/{files}")


def _comparisons(analysis: "Analysis", run: "Run") -> "Table":
    from rich.table import Table

    from evaluation.numbers import percent

    title = f"{run.recipe.name}: {analysis.suite}, rules beside {rule_name(analysis.reference)}, {analysis.rows:,} rows"
    caption = (
        "pairs: chosen responses scored above rejected ones, a row's mean. p: exact McNemar over prompts, corrected by"
        f" Holm; a difference is shown below {SIGNIFICANT:g}. longer: accuracy where the chosen response is longer, and"
        " where it is shorter. calibration error: of sigmoid(score gap), and with the temperature fitted on held-out"
        " pairs."
    )
    table = Table("rule", title=title, caption=caption)
    for heading in ("pairs", "lead (95 % interval)", "p", "ties", "longer", "shorter", "calibration error"):
        table.add_column(heading, justify="right", no_wrap=heading.startswith("lead"))
    for rule, found in analysis.rules.items():
        slices = found.length.slices if found.length else {}
        by_length = (slices.get(name) for name in ("chosen_longer", "chosen_shorter"))
        errors = (found.calibration.as_is, found.calibration.fitted)
        table.add_row(
            rule_name(rule),
            percent(found.pairs_right.accuracy if found.pairs_right else None),
            *_lead(found.comparison),
            f"{found.ties:,}",
            *(percent(part.right.accuracy if part else None) for part in by_length),
            " / ".join(percent(error.expected_error.value if error else None) for error in errors),
        )
    return table


def _lead(comparison: "Comparison | None") -> tuple[str, str]:
    """Lead with its interval, and p."""
    from evaluation.numbers import probability

    if comparison is None:
        return "reference", ""
    lead = f"{100 * comparison.lead:+.1f} ({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
    return lead, probability(comparison.p_corrected)


def _best_of_n(analysis: "Analysis") -> "Table":
    from rich.table import Table

    from evaluation.numbers import percent

    points = analysis.best_of_n
    table = Table("rule", title=f"{analysis.suite}: share correct of the best of k responses, in per cent")
    for point in points:
        table.add_column(f"k = {point.k}", justify="right")
    for rule in analysis.rules:
        picked = (point.selected.get(rule) for point in points)
        table.add_row(rule_name(rule), *(percent(one.accuracy if one else None) for one in picked))
    table.add_section()
    table.add_row("random pick", *(percent(point.chance) for point in points))
    table.add_row("if any is correct", *(percent(point.possible) for point in points))
    return table


def _ratings(ratings: "Ratings", run: "Run") -> "Table":
    from rich.table import Table

    from evaluation.numbers import number, undefined

    table = Table(title=f"{run.recipe.name}: heads on {ratings.rows:,} held-out rated responses")
    table.add_column("objective", no_wrap=True)
    table.add_column("data set", overflow="fold")
    for heading in ("rows", "Pearson (95 % interval)", "Spearman", "MSE", "AUC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for objective, datasets in ratings.objectives.items():
        for dataset, found in datasets.items():
            pearson = found.pearson
            ends = "" if undefined(pearson.low) else f" ({number(pearson.low, 2)} to {number(pearson.high, 2)})"
            table.add_row(
                objective,
                dataset,
                f"{found.rows:,}",
                number(pearson.value, 2) + ends,
                number(found.spearman.value, 2),
                number(found.mse.value, 3),
                number(found.auc.value, 2) if found.auc else "",
            )
    return table
