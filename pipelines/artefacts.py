"""The files of a run: where they lie, and that they belong together."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cache import FeatureStore, UserError
from cache.durable import replacing, write_text
from cache.fingerprint import digest_of
from pipelines.recipe import Recipe

Arrays = dict[str, NDArray[Any]]

Result = TypeVar("Result")


def write_json(path: Path, value: Any, **stamps: str) -> None:
    """Write a JSON object, durably; `stamps` are further keys."""
    write_text(path, to_json(value, **stamps))


def to_json(value: Any, **more: str) -> str:
    """A JSON object or a result's dataclass as text; NaN becomes null, which every reader knows.

    `more` are further keys.
    """
    return json.dumps({**_plain(value), **more}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path, command: str) -> dict[str, Any]:
    """Read a JSON object that `armorm <command>` writes.

    Raises:
        UserError: it is not there, or damaged.
    """
    if not path.exists():
        raise UserError(f"there is no {path}: run `armorm {command}` first")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): run `armorm {command}` again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold an object: run `armorm {command}` again")
    return value


def typed(value: dict[str, Any], kind: type[Result], path: Path, command: str) -> Result:
    """A JSON object that `armorm <command>` wrote to a file, as its type.

    Raises:
        UserError: a key lacks, or is of another type.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is of another version ({key}: {first['msg']}): run `armorm {command}` again") from None


def write_arrays(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    """Write arrays as safetensors, durably."""
    with replacing(path) as file:
        file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))


def read_arrays(path: Path, command: str) -> Arrays:
    """Read arrays that `armorm <command>` writes.

    Raises:
        UserError: they are not there, or damaged.
    """
    if not path.exists():
        raise UserError(f"there is no {path}: run `armorm {command}` first")
    try:
        arrays: Arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): run `armorm {command}` again") from None
    return arrays


def data_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that what `extract` writes depends on."""
    return recipe.model_dump(
        mode="json", include={"backbone", "store", "split", "objectives", "ratings", "pairs", "suites"}
    )


def read_run(recipe: Recipe) -> dict[str, Any]:
    """The result of `extract` for a recipe, without opening its store.

    Raises:
        UserError: nothing was extracted yet, or with other settings.
    """
    path = recipe.folder / "extract.json"
    result = read_json(path, "extract")
    if result.get("settings") != data_settings(recipe):
        changed = [key for key, value in data_settings(recipe).items() if result.get("settings", {}).get(key) != value]
        raise UserError(
            f"{path} was made with other settings ({', '.join(changed)}): run `armorm extract` again;"
            " what is stored already is used again"
        )
    return result


def open_run(recipe: Recipe) -> tuple[dict[str, Any], FeatureStore]:
    """The result of `extract` for a recipe, and its store.

    Raises:
        UserError: nothing was extracted yet, or with other settings.
    """
    result = read_run(recipe)
    return result, FeatureStore.open(recipe.store.root, result["fingerprint"])


def heads_inputs(recipe: Recipe) -> str:
    """Digest of what the heads are made of: the settings that count, and the rated rows."""
    settings = recipe.model_dump(mode="json", include={"objectives", "ratings", "heads", "missing_datasets"})
    return digest_of({"settings": settings, "examples": _file_digest(recipe, "tables/examples.parquet", "extract")})


def gating_inputs(recipe: Recipe) -> str:
    """Digest of what the gate is made of: the settings that count, the heads, and the rows."""
    files = {
        "tables/examples.parquet": "extract",
        "tables/pairs.parquet": "extract",
        "heads.safetensors": "fit-heads",
    }
    return digest_of(
        {
            "settings": recipe.model_dump(mode="json", include={"debiasing", "gate"}),
            "bradley_terry_C": recipe.heads.bradley_terry_C,
            "files": {file: _file_digest(recipe, file, command) for file, command in files.items()},
        }
    )


def other_heads_inputs(recipe: Recipe) -> str:
    """Digest of what the other heads are made of: the settings that count, and the rows."""
    files = {"tables/examples.parquet": "extract", "tables/pairs.parquet": "extract"}
    return digest_of(
        {
            "settings": recipe.model_dump(mode="json", include={"objectives", "ratings", "other_heads"}),
            "files": {file: _file_digest(recipe, file, command) for file, command in files.items()},
        }
    )


def _file_digest(recipe: Recipe, file: str, command: str) -> str:
    path = recipe.folder / file
    if not path.exists():
        raise UserError(f"there is no {path}: run `armorm {command}` first")
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
