"""Writes docs/cli.md from the commands' own help: `python -m pipelines.cli_reference > docs/cli.md`."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from pipelines.cli import app

HEAD = """# Commands

This page is made from the code: `python -m pipelines.cli_reference > docs/cli.md`. Every command takes `--help`;
those that print a result take `--json`, which prints the result object alone. Exit codes: 0, 1 (failed), 2 (bad input,
with one sentence that names the file, row or key and the remedy).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name; groups have none of their own."""
    yield from _below("armorm", typer.main.get_command(app))


def example_of(command: Any) -> str:
    """The command line that ends a command's help."""
    return str(command.epilog or "").removeprefix("Example: ")


def reference() -> str:
    """The page."""
    return HEAD + "".join(_section(name, command) for name, command in commands())


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for part, found in command.commands.items():
            yield from _below(f"{name} {part}", found)
    else:
        yield name, command


def _section(name: str, command: Any) -> str:
    arguments = "".join(f" {part.metavar or part.name.upper()}" for part in _arguments(command))
    rows = [_row(part) for part in command.params if part not in _arguments(command)]
    table = "| option | default | meaning |\n|---|---|---|\n" + "\n".join(rows)
    return f"\n## {name}\n\n{command.help}\n\n    {name}{arguments} [OPTIONS]\n    {example_of(command)}\n\n{table}\n"


def _arguments(command: Any) -> list[Any]:
    return [part for part in command.params if isinstance(part, TyperArgument)]


def _row(option: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    default = "required" if option.required else "" if option.default in (None, False, "") else f"`{option.default}`"
    choices = f" One of {option.metavar[1:-1].replace('|', ', ')}." if (option.metavar or "").startswith("[") else ""
    meaning = re.sub(r"\s+", " ", (option.help or "") + choices).replace("|", "\\|")
    return f"| {flags} | {default} | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
