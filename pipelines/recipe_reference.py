"""Writes docs/recipe.md from the recipe's own types: `python -m pipelines.recipe_reference > docs/recipe.md`."""

import json
import sys
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cache import StoreSettings
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
from pipelines.recipe import Recipe, ScaledRatings

HEAD = """# The recipe

One TOML file says everything a run depends on. An unknown key, a wrong type or an impossible value is refused with
the key's name. This page is made from the code: `python -m pipelines.recipe_reference > docs/recipe.md`.
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


def reference() -> str:
    """The page."""
    parts = [HEAD, _table("Top of the file", Recipe)]
    parts += [_table(f"`{name}`", model) for name, model in TABLES]
    parts.append("## Sources\n\n| source | kind | repository | files |\n|---|---|---|---|")
    for source in SOURCES.values():
        files = ", ".join(f"`{pattern}`" for pattern in source.files)
        parts[-1] += f"\n| {source.name} | {source.kind} | {source.repo or 'to be named'} | {files} |"
    parts.append("## The published objectives\n\n| objective | scale | rule |\n|---|---|---|")
    parts[-1] += "".join(
        f"\n| {objective.name} | {objective.low:g} to {objective.high:g} | {objective.rule} |"
        for objective in PUBLISHED_OBJECTIVES
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(title: str, model: type[BaseModel]) -> str:
    about = " ".join((model.__doc__ or "").split())
    rows = [_row(name, field) for name, field in model.model_fields.items() if not _is_table(name, field)]
    return f"## {title}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {meaning} |"


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
    names = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path", Scale: "table"}
    if annotation in names:
        return names[annotation]
    arguments = [argument for argument in get_args(annotation) if argument not in (type(None), Ellipsis)]
    text = str(annotation)
    if isinstance(annotation, UnionType):
        return _type(arguments[0])
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


if __name__ == "__main__":
    sys.stdout.write(reference())
