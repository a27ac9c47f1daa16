"""What commands have in common: options, names to choose from, and how a result is shown."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

Result = TypeVar("Result")

HELP = {"help_option_names": ["-h", "--help"]}

RecipeOption = Annotated[Path, typer.Option("--recipe", help="The TOML file that says what to run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result object alone, for machines.")]


SUITE = "rewardbench"
"""The suite of a command that names none."""


def one_of(names: Iterable[str]) -> dict[str, Any]:
    """Arguments of an option whose value is one of some names, given without importing what they stand for."""
    known = tuple(names)

    def parse(name: str) -> str:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, known))}.")
        return name

    return {"parser": parse, "metavar": f"[{'|'.join(known)}]"}


def finish(result: Result, as_json: bool, show: Callable[[Result], None]) -> None:
    """Show a command's result, or print it alone for machines."""
    if as_json:
        from pipelines.artefacts import to_json

        sys.stdout.write(to_json(result))
    else:
        show(result)
