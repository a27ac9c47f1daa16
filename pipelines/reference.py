"""Pages made from the code: `python -m pipelines.reference recipe > docs/recipe.md`; `cli`, `messages` too."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperArgument, TyperGroup

from cache import StoreSettings
from cache.names import GgufFile
from extract.settings import (
    BackboneSettings,
    ExtractSettings,
    PairSettings,
    SplitSettings,
    SuiteSettings,
    VllmSettings,
)
from extract.sources import SOURCES
from gating.settings import DebiasingSettings, GateSettings
from heads.kinds.registry import NAMES, kind_of
from heads.objectives import PUBLISHED_OBJECTIVES, Objective, Scale
from heads.settings import HeadSettings, OtherHeadSettings
from pipelines.cli import app
from pipelines.messages import messages_page
from pipelines.recipe import Recipe, ScaledRatings

RECIPE_HEAD = """# The recipe

One TOML file says everything a run depends on. An unknown key, a wrong type or an impossible value is refused with
the key's name and line, all of them at once. A path is relative to the recipe's own folder, wherever the command is
typed; `~` and variables of the environment (`$DATA/rows.jsonl`) are expanded. Results go to `runs/` and `features/` in
the working directory, unless `runs` and `store.root` say otherwise. Stamps hold paths as they are written, so that
results stay current where a project is moved as a whole.

This page is made from the code: `python -m pipelines.reference recipe > docs/recipe.md`.
"""

TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[backbone]", BackboneSettings),
    ("[store]", StoreSettings),
    ("[extract]", ExtractSettings),
    ("[extract.vllm]", VllmSettings),
    ("[split]", SplitSettings),
    ("[[objectives]]", Objective),
    ("[[ratings]]", ScaledRatings),
    ("[[pairs]]", PairSettings),
    ("[[suites]]", SuiteSettings),
    ("[heads]", HeadSettings),
    ("[other_heads]", OtherHeadSettings),
    *((f"[other_heads.{name}]", kind_of(name).settings) for name in NAMES),
    ("[debiasing]", DebiasingSettings),
    ("[gate]", GateSettings),
)


def recipe_page() -> str:
    """docs/recipe.md: every key of the recipe, its type, default and meaning."""
    parts = [RECIPE_HEAD, _table("Top of the file", Recipe)]
    parts += [_table(f"`{name}`", model) for name, model in TABLES]
    parts.append(
        "## Sources\n\nRows and licence are those that the official cards state.\n\n"
        "| source | kind | repository | files | rows | licence |\n|---|---|---|---|---:|---|"
    )
    for source in SOURCES.values():
        files = ", ".join(f"`{pattern}`" for pattern in source.files)
        rows = "" if source.rows is None else f"{source.rows:,}"
        parts[-1] += f"\n| {source.name} | {source.kind} | {source.repo or 'to be named'} | {files} | {rows} |"
        parts[-1] += f" {source.licence or ''} |"
    parts.append("## The published objectives\n\n| objective | scale | rule |\n|---|---|---|")
    parts[-1] += "".join(
        f"\n| {objective.name} | {objective.low:g} to {objective.high:g} | {objective.rule} |"
        for objective in PUBLISHED_OBJECTIVES
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(title: str, model: type[BaseModel]) -> str:
    about = " ".join((model.__doc__ or "").split())
    rows = [_key_row(name, field) for name, field in model.model_fields.items() if not _is_table(name, field)]
    return f"## {title}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _key_row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory_takes_validated_data:  # it follows from another key, as the meaning says
        return ""
    default: Any = field.get_default(call_default_factory=True)
    if default in (None, (), {}, "") or default is PydanticUndefined:
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in default)
    return f"`{json.dumps(str(default) if isinstance(default, Path) else default)}`"


def _type(annotation: Any) -> str:
    names = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        Path: "path",
        Scale: "table",
        GgufFile: "text",
    }
    if annotation in names:
        return names[annotation]
    arguments = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
    text = str(annotation)
    if isinstance(annotation, UnionType):
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    if text.startswith("dict"):
        return f"table of {_type(arguments[1])}"
    if text.startswith("tuple"):
        return f"list of {_type(arguments[0])}"
    if "Literal" in text:
        return " or ".join(f"`{argument}`" for argument in arguments)
    return _type(arguments[0])


def _is_table(name: str, field: FieldInfo) -> bool:
    """Whether the field is a table with a section of its own."""
    own = {model for _, model in TABLES}
    return name in NAMES or field.annotation in own or bool(own.intersection(get_args(field.annotation)))


CLI_HEAD = """# Commands

This page is made from the code: `python -m pipelines.reference cli > docs/cli.md`. Every command takes `--help`;
those that print a result take `--json`, which prints the result object alone. Exit codes: 0, 1 (failed), 2 (bad input,
with one sentence that names the file, row or key and the remedy).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name; groups have none of their own."""
    yield from _below("armorm", typer.main.get_command(app))


def example_of(command: Any) -> str:
    """The command line that ends a command's help."""
    return str(command.epilog or "").removeprefix("Example: ")


def cli_page() -> str:
    """docs/cli.md: every command with its options and its example."""
    return CLI_HEAD + "".join(_section(name, command) for name, command in commands())


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for part, found in command.commands.items():
            yield from _below(f"{name} {part}", found)
    else:
        yield name, command


def _section(name: str, command: Any) -> str:
    arguments = "".join(f" {part.metavar or part.name.upper()}" for part in _arguments(command))
    rows = [_option_row(part) for part in command.params if part not in _arguments(command)]
    table = "| option | default | meaning |\n|---|---|---|\n" + "\n".join(rows)
    return f"\n## {name}\n\n{command.help}\n\n    {name}{arguments} [OPTIONS]\n    {example_of(command)}\n\n{table}\n"


def _arguments(command: Any) -> list[Any]:
    return [part for part in command.params if isinstance(part, TyperArgument)]


def _option_row(option: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    default = "required" if option.required else "" if option.default in (None, False, "") else f"`{option.default}`"
    choices = f" One of {option.metavar[1:-1].replace('|', ', ')}." if (option.metavar or "").startswith("[") else ""
    meaning = re.sub(r"\s+", " ", (option.help or "") + choices).replace("|", "\\|")
    return f"| {flags} | {default} | {meaning} |"


PAGES = {"recipe": recipe_page, "cli": cli_page, "messages": messages_page}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
