"""The weights in a folder by their headers alone, and a configuration held against them.

A folder may come from anywhere, and its config.json may say anything. Nothing is allocated, and no loop runs, for a
number in it that the weights beside it do not bear out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModel, PretrainedConfig

from cache import UserError
from cache.errors import refusing

REMEDY = "fetch it again"

INDEX = "model.safetensors.index.json"

LOOPED = re.compile(r"(layers|^n_layer|^num_layer|blocks|experts)$")
"""Keys of configurations over which transformers' classes loop, some of them when the file is merely read."""

HARMLESS = 4096
"""Value of such a key up to which a loop costs nothing. It needs no weights beside it: some keys, such as Qwen's
`max_window_layers`, may exceed the number of layers."""

SLACK = 2**27
"""Numbers that a model may have beside its stored weights: tables and masks that are computed, half a GB at most."""

PACKED = 16
"""Most weights that quantised checkpoints put into one stored number: of 2 bits into an int32."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor by its file's header."""

    name: str
    path: Path
    shape: tuple[int, ...]
    dtype: str
    """As safetensors names it: F32, BF16, I8, …"""

    @property
    def size(self) -> int:
        """Number of elements."""
        return torch.Size(self.shape).numel()


def read_headers(folder: Path) -> list[StoredTensor]:
    """All tensors of a folder's safetensors, file by file; only headers are read.

    Raises:
        UserError: a file is cut or damaged, or the index names a file that is not beside it.
    """
    _check_index(folder)
    found: list[StoredTensor] = []
    for path in sorted(folder.glob("*.safetensors")):
        with refusing(f"{path} is cut or damaged", REMEDY), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - a safe_open is no dictionary
                header = file.get_slice(name)
                found.append(StoredTensor(name, path, tuple(header.get_shape()), header.get_dtype()))
    return found


def _check_index(folder: Path) -> None:
    """Refuse an index that sends its reader to files elsewhere."""
    path = folder / INDEX
    if not path.is_file():
        return
    with refusing(f"{path} is damaged", REMEDY):
        files = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        other = sorted(name for name in files if PurePath(name).name != name or not name.endswith(".safetensors"))
    if other:
        raise UserError(f"{path} names {other[0]!r}, which is no safetensors file beside it: {REMEDY}")


def check_loops(folder: Path, stored: list[StoredTensor], key: str) -> None:
    """Refuse a config.json that asks for more layers or experts than its weights could hold.

    This comes before transformers reads the file: some of its classes make a list as long as `num_hidden_layers`.

    Args:
        folder: with config.json.
        stored: its weights, from `read_headers`.
        key: the setting or option that named the folder, for errors.

    Raises:
        UserError: it does.
        OSError, ValueError, RecursionError: the file cannot be read.
    """
    path = folder / "config.json"
    dimensions = [max(tensor.shape, default=0) for tensor in stored]
    layers = max(len(stored), HARMLESS)
    for name, value in _integers(json.loads(path.read_text(encoding="utf-8"))):
        most = max(layers, *dimensions) if name.endswith("experts") else layers
        if LOOPED.search(name) and value > most:
            raise UserError(
                f"{key}: {path} says that {name} is {value:,}, and the weights beside it are {len(stored):,} tensors:"
                " fetch config.json and the weights of the same model"
            )


def _integers(values: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Keys and values of all whole numbers in a JSON value, however deep."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from _integers(value, name)
    elif isinstance(values, list):
        for value in values:
            yield from _integers(value, key)
    elif isinstance(values, int):
        yield key, values


def check_room(config: PretrainedConfig, folder: Path, stored: list[StoredTensor]) -> None:
    """Refuse a configuration under which far more memory would be taken than the stored weights fill.

    The shapes themselves are compared when the weights are loaded. A weight that is missing there, or has another
    shape, is first allocated, in the size that the configuration says.

    Raises:
        UserError: it does, or no model can be made of it.
    """
    with refusing(f"no {config.model_type} can be made of the config.json in {folder}", REMEDY):
        with torch.device("meta"):
            model = AutoModel.from_config(config, trust_remote_code=False)
        asked = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    packed = PACKED if getattr(config, "quantization_config", None) else 1
    held = sum(tensor.size for tensor in stored) * packed
    if asked > 2 * held + SLACK:
        raise UserError(
            f"the config.json in {folder} asks for {asked:,} weights, and its files hold {held:,}: fetch config.json"
            " and the weights of the same model"
        )
