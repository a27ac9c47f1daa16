"""`armorm analyse`, `leaderboard` and `score-suite`: the rules beside each other, and beside other scorers."""

import sys
from typing import Annotated

import typer

from evaluation.suites import SUITES
from pipelines.command_line import HELP, SUITE, JsonOption, RecipeOption, finish, one_of

app = typer.Typer(context_settings=HELP)


@app.command(epilog="Example: armorm analyse --recipe recipes/demo.toml --reference bradley_terry")
def analyse(
    recipe: RecipeOption,
    reference: Annotated[str, typer.Option(help="The rule or scorer that the others are compared with.")] = "gate",
    as_json: JsonOption = False,
) -> None:
    """Compare the rules on every suite that was evaluated, and the heads with held-out ratings."""
    from pipelines.analyse import analyse as run
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.show_comparisons import show_analysis

    settings = read_recipe(recipe)
    with reporting() as progress:
        result = run(settings, reference, progress)
    finish(result, as_json, lambda result: show_analysis(result, settings))


@app.command(epilog="Example: armorm leaderboard --recipe recipes/demo.toml")
def leaderboard(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Rank rules, other scorers and published rows on every suite that was evaluated."""
    from pipelines.leaderboard import make_leaderboard
    from pipelines.recipe import read_recipe
    from pipelines.show_comparisons import show_leaderboard

    settings = read_recipe(recipe)
    finish(make_leaderboard(settings), as_json, lambda made: show_leaderboard(made, settings))


@app.command(epilog="Example: armorm score-suite --recipe recipes/demo.toml --scorer hf:other-rm")
def score_suite(
    recipe: RecipeOption,
    scorer: Annotated[
        str,
        typer.Option(
            help="hf:FOLDER or hf:ORG/NAME, a reward model that transformers loads as a sequence classifier of one"
            " output; armorm:FOLDER or armorm:ORG/NAME, an exported model or the published checkpoint; or judge:MODEL,"
            " a language model behind the OpenAI-compatible endpoint of OPENAI_BASE_URL, with the key of"
            " OPENAI_API_KEY.",
        ),
    ],
    suite: Annotated[str, typer.Option(**one_of(SUITES), help="The suite to score.")] = SUITE,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reward model's batch, with padding.")] = 16384,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions to a judge under way at a time.")] = 8,
    temperature: Annotated[
        float, typer.Option(min=-1.0, help="Of a judge; -1 leaves it to the server, as models that reason demand.")
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Score a suite's rows with another reward model or an LLM judge; eval then judges them beside the rules."""
    from pipelines.interrupts import interrupted_by_termination
    from pipelines.progress import reporting
    from pipelines.recipe import read_recipe
    from pipelines.score_elsewhere import score_elsewhere
    from pipelines.show_comparisons import show_scorer

    settings = read_recipe(recipe)
    with reporting() as progress, interrupted_by_termination():
        result, file = score_elsewhere(
            settings,
            suite,
            scorer,
            batch_tokens=batch_tokens,
            concurrency=concurrency,
            temperature=None if temperature < 0 else temperature,
            progress=progress,
        )
    if as_json:
        from pipelines.artefacts import to_json

        sys.stdout.write(to_json(result, file=str(file)))
    else:
        show_scorer(result, file)
