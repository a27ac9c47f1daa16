"""The command line: each command reads a recipe, calls one room, and writes an artefact."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from cache import UserError
from evaluation.suites import SUITES
from extract.engines import ENGINES
from pipelines.cache_commands import app as cache_app
from pipelines.command_line import HELP, SUITE, JsonOption, RecipeOption, finish, one_of
from pipelines.comparison_commands import app as comparison_app
from pipelines.model_commands import app as model_app

app = typer.Typer(
    help="Interpretable reward models from cached features.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)

app.add_typer(cache_app, name="cache")
app.add_typer(comparison_app)
app.add_typer(model_app)

ALL = "all"


def engine_name(value: str) -> str:
    """A name in the table of engines."""
    if value not in ENGINES:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, ENGINES))}.")
    return value


@app.command(epilog="Example: armorm demo-corpus --out data/demo")
def demo_corpus(
    out: Annotated[Path, typer.Option(help="Folder to write; made if it is not there.")] = Path("data/demo"),
    scale: Annotated[float, typer.Option(min=0.01, help="Size: 1 is the demo.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write self-made rows in the official schema of every data set."""
    from demo_corpus import write
    from pipelines.show import show_demo_corpus

    finish(write(out, scale=scale, seed=seed), as_json, lambda result: show_demo_corpus(result, out))


@app.command(epilog="Example: armorm extract --recipe recipes/demo.toml --limit 100")
def extract(
    recipe: RecipeOption,
    data_root: Annotated[
        Path | None, typer.Option(help="Read DIR/org/name/file instead of the hub.", metavar="DIR")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Raw rows to read of each data set.")] = None,
    engine: Annotated[
        str | None,
        typer.Option(parser=engine_name, metavar=f"[{'|'.join(ENGINES)}]", help="In place of the recipe's."),
    ] = None,
    worker: Annotated[
        str,
        typer.Option(
            help="Be one of N workers, compute its part and write no tables: 1/N to N/N, or 'auto' for the number that"
            " torchrun or a SLURM array gives. When all are done, a run without --worker writes the tables.",
            metavar="I/N",
        ),
    ] = "1/1",
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that compute, each with a GPU of its own, or CPUs where there is none; more than one"
            " needs Ray (`pip install -e '.[ray]'`).",
        ),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run every data set of a recipe through the backbone once, into the feature store."""
    from extract.worker_number import read_worker
    from pipelines.extract_features import extract as run
    from pipelines.interrupts import interrupted_by_termination
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.show import show_extract

    settings = read_recipe(recipe)
    number = read_worker(worker, workers)
    with reporting() as progress, interrupted_by_termination():
        result = run(
            settings,
            data_root=data_root,
            limit=limit,
            engine=engine,
            worker=number,
            workers=workers,
            progress=progress,
        )
    finish(result, as_json, lambda result: show_extract(result, settings))


@app.command(epilog="Example: armorm fit-heads --recipe recipes/demo.toml")
def fit_heads(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Fit one linear head per objective on the stored features."""
    from pipelines.fit_heads import fit_heads as run
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.show import show_heads

    settings = read_recipe(recipe)
    with reporting() as progress:
        result = run(settings, progress=progress)
    finish(result, as_json, lambda result: show_heads(result, settings))


@app.command(epilog="Example: armorm train-gating --recipe recipes/demo.toml")
def train_gating(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option("--plots", help="Draw runs/<recipe>/plots/ too; needs matplotlib.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take verbosity out of the rewards, train the gate on the pairs, and fit the rules it is compared with."""
    from evaluation.gate_plots import check_plots, plot_gating
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.show import show_gating
    from pipelines.train_gating import train_gating as run

    settings = read_recipe(recipe)
    if plots:
        check_plots()
    with reporting() as progress:
        result = run(settings, progress=progress)
    if plots:
        from gating.results import Gating
        from pipelines.artefacts import typed

        trained = typed(result, Gating, settings.folder / "gating.json", "train-gating")
        plot_gating(trained, settings.folder / "plots")
    finish(result, as_json, lambda result: show_gating(result, settings))


@app.command(epilog="Example: armorm ablate --recipe recipes/demo.toml")
def ablate(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option(help="Draw figures too, if matplotlib is installed.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Leave out data sets, objectives, rows and layers, from the saved statistics alone; compare kinds of heads."""
    from pipelines.ablate import ablate as run
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.show_ablations import show_ablations

    settings = read_recipe(recipe)
    with reporting() as progress:
        result = run(settings, plots=plots, progress=progress)
    finish(result, as_json, lambda result: show_ablations(result, settings))


@app.command("eval", epilog="Example: armorm eval --recipe recipes/demo.toml --suite rewardbench")
def evaluate(
    recipe: RecipeOption,
    suite: Annotated[
        str,
        typer.Option(
            **one_of((*SUITES, ALL)),
            help="The suite to judge; all: every one that the recipe names.",
        ),
    ] = SUITE,
    plots: Annotated[bool, typer.Option("--plots", help="Draw runs/<recipe>/plots/ too; needs matplotlib.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge suites' rows by every aggregation rule, from stored features."""
    from evaluation.gate_plots import check_plots, plot_coefficients
    from pipelines.evaluate import evaluate as run
    from pipelines.evaluate import evaluate_all
    from pipelines.recipe import read_recipe
    from pipelines.show_suites import show_suite, show_suites

    settings = read_recipe(recipe)
    if plots:
        check_plots()
    if suite == ALL:
        results = evaluate_all(settings)
        if plots:
            for result in results.values():
                plot_coefficients(result, settings.folder / "plots")
        finish(results, as_json, lambda results: show_suites(results, settings))
        return
    result = run(settings, suite)
    if plots:
        plot_coefficients(result, settings.folder / "plots")
    finish(result, as_json, lambda result: show_suite(result, settings))


@app.command(epilog="Example: armorm report --recipe recipes/demo.toml")
def report(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option(help="Draw figures too, if matplotlib is installed.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write one page of all that a run found, to be opened in a browser: runs/<recipe>/report.html."""
    from pipelines.recipe import read_recipe
    from pipelines.report import report as run
    from pipelines.show import show_report

    finish(run(read_recipe(recipe), plots=plots), as_json, show_report)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2, a failure exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "huggingface_hub", "filelock", "transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        app()
    except UserError as error:
        sys.exit(_say(f"error: {error}", 2))
    except OSError as error:
        sys.exit(_say(f"failed: {error}", 1))


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code


if __name__ == "__main__":
    main()
