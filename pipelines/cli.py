"""The command line: one file a command in pipelines/commands, registered here."""

import logging
import sys
from typing import Annotated

import typer

from cache import UserError
from pipelines.commands import (
    ablate,
    analyse,
    cache_export,
    cache_status,
    cache_verify,
    check,
    demo_corpus,
    doctor,
    evaluate,
    explain,
    export,
    extract,
    fit_heads,
    fit_other_heads,
    leaderboard,
    new,
    personalise,
    report,
    score,
    score_suite,
    serve,
    suggest,
    train_gating,
)

ROOMS = ("cache", "extract", "heads", "gating", "export", "evaluation", "pipelines", "demo_corpus")
"""Packages whose log lines are shown."""

HELP = {"help_option_names": ["-h", "--help"]}


def _show_versions(asked: bool) -> None:
    if asked:
        from pipelines.installation import versions

        typer.echo(", ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


app = typer.Typer(
    help="Interpretable reward models from cached features.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # where what stands in brackets, such as the name of an extra, is text
    context_settings=HELP,
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_versions, help="Print versions, and end.")
    ] = False,
) -> None:
    pass


cache = typer.Typer(help="Look at, check and export the feature store.", no_args_is_help=True, context_settings=HELP)

for group, name, module in (
    (app, "demo-corpus", demo_corpus),
    (app, "new", new),
    (app, "check", check),
    (app, "extract", extract),
    (app, "fit-heads", fit_heads),
    (app, "fit-other-heads", fit_other_heads),
    (app, "train-gating", train_gating),
    (app, "eval", evaluate),
    (app, "analyse", analyse),
    (app, "leaderboard", leaderboard),
    (app, "ablate", ablate),
    (app, "report", report),
    (app, "score-suite", score_suite),
    (app, "explain", explain),
    (app, "export", export),
    (app, "score", score),
    (app, "suggest", suggest),
    (app, "personalise", personalise),
    (app, "serve", serve),
    (app, "doctor", doctor),
    (cache, "status", cache_status),
    (cache, "verify", cache_verify),
    (cache, "export", cache_export),
):
    group.command(name, epilog=f"Example: {module.EXAMPLE}")(module.command)
app.add_typer(cache, name="cache")


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2, a failure exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for room in ROOMS:  # libraries only warn: some log a line for each of thousands of requests
        logging.getLogger(room).setLevel(logging.INFO)
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
