"""A stamp: digests of the settings and files that a result is made of, and where each kind of result keeps it."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pipelines.artefacts import TABLES, Artefact
from pipelines.json_file import read_object

Stamp = dict[str, str]
"""Setting, or file that a result is made of -> digest."""


def settings_of(artefact: Artefact[Any], recipe: Mapping[str, Any], *, rated: bool) -> Iterator[tuple[str, Any]]:
    """Yield the keys of the recipe that a result depends on, with their values.

    Args:
        artefact: the result.
        recipe: the recipe as plain values.
        rated: whether it has rating sets.
    """
    dropped = [key[1:] for key in artefact.settings if key.startswith("-")]
    for key in artefact.settings if rated else (*artefact.settings, *artefact.settings_without_ratings):
        if key.startswith("-"):
            continue
        key, _, condition = key.partition(" if ")
        if condition and not _value(recipe, condition):
            continue
        names = {name.removeprefix(f"{key}.") for name in dropped if name.startswith(f"{key}.")}
        yield key, _without(names, _value(recipe, key))


def recorded_stamp(artefact: Artefact[Any], path: Path, extract: Path) -> tuple[Stamp | None, str | None]:
    """The stamp that a result was written with, and the digest of its data file; None where an earlier version did.

    Args:
        artefact: the result.
        path: its file.
        extract: the file of `extract`, which keeps the stamps of the tables.

    Raises:
        ValueError, OSError, SafetensorError: a file is damaged.
    """
    if artefact.file.startswith(f"{TABLES}/"):
        stamps = read_object(extract).get("table_stamps", {})
        if not isinstance(stamps, dict):
            raise ValueError("its table_stamps are none")
        return _checked(stamps.get(artefact.file)), None
    if path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as file:
            stamp = (file.metadata() or {}).get("stamp")
        return None if stamp is None else _checked(json.loads(stamp)), None
    values = read_object(path)
    return _checked(values.get("stamp")), values.get("data")


def _value(recipe: Mapping[str, Any], key: str) -> Any:
    """The value of a key; below a list of tables the list of each table's."""
    value: Any = recipe
    for part in key.split("."):
        value = [table[part] for table in value] if isinstance(value, list) else value[part]
    return value


def _without(names: Collection[str], value: Any) -> Any:
    """A table, or each of a list of tables, without some keys."""
    if not names:
        return value
    if isinstance(value, list):
        return [_without(names, table) for table in value]
    return {name: part for name, part in value.items() if name not in names}


def _checked(value: object) -> Stamp | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(digest, str) for digest in value.values()):
        raise ValueError("its stamp is none")
    return value
