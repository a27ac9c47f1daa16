"""The backbone's weights in an exported folder: copies, or links to the original files.

Keys begin with the family's own prefix (`model.` for Llama, `gpt_neox.`, `transformer.`, `backbone.`): transformers
takes that one off when it loads the decoder alone, and no other.
Tensors are copied one by one, in the dtype they are stored in, and never loaded as a model. Those of a GGUF file are
unpacked to the dtype that the features were computed in, as the engine that computed them had them.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModel

from cache import UserError
from cache.names import FileName
from cache.parsing import parse
from export.modeling_armorm import base_model_prefix
from extract.backbone import Backbone
from extract.configuration import whole_configuration
from extract.settings import BackboneSettings
from extract.stored_weights import INDEX

Weights = Literal["copy", "link"]
"""copy: the folder can be moved anywhere; link: it takes no disk space, and the backbone must stay in its place."""

SHARD_BYTES = 5 * 10**9
"""Largest size of a copied file, as transformers' default was; a larger tensor has a file to itself."""

Value = TypeVar("Value")

SAFETENSORS_METADATA = {"format": "pt"}
"""transformers refuses files without it."""


def write_weights(backbone: Backbone, out: Path, heads: dict[str, Tensor], how: Weights, dtype: str) -> int:
    """Put the backbone's weights and the heads into `out`, with the index that lists both.

    Args:
        backbone: a folder with safetensors, or a GGUF file.
        out: an existing folder.
        heads: the reward model's own tensors.
        how: copy or link.
        dtype: dtype of the features, to which a GGUF file's weights are unpacked.

    Returns:
        Size in bytes of all tensors that the index lists.

    Raises:
        UserError: safetensors are missing or damaged, or cannot be linked under the names they have.
    """
    if backbone.gguf_file is not None:
        index, total = _unpack(backbone, out, how, dtype)
    else:
        where = _files(backbone.folder)
        renamed = _names_in_the_folder(backbone.folder, sorted(where))
        index = _link(where, renamed, backbone.folder, out) if how == "link" else _copy(where, renamed, out)
        total = sum(_sizes(where, set(renamed)).values())
    _save(heads, out / "reward_heads.safetensors")
    index |= dict.fromkeys(heads, "reward_heads.safetensors")
    total += sum(tensor.nbytes for tensor in heads.values())
    (out / INDEX).write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}, indent=2) + "\n"
    )
    return total


@dataclass(frozen=True, slots=True)
class _WeightsIndex:
    """The part of the index that is read."""

    weight_map: dict[str, FileName]
    """Tensor -> its file, beside the index."""


def _files(backbone: Path) -> dict[str, Path]:
    """Tensor -> its file."""
    index = backbone / INDEX
    if index.is_file():
        try:
            names = parse(_WeightsIndex, index.read_bytes()).weight_map
        except ValueError as error:
            raise UserError(f"{index} is damaged ({error}): fetch the backbone again") from None
        return {name: backbone / file for name, file in names.items()}
    path = backbone / "model.safetensors"
    if not path.is_file():
        raise UserError(f"there is no {path} and no {INDEX} beside it: use a backbone in safetensors")
    with _opened(path) as file:
        return dict.fromkeys(file.keys(), path)


def _names_in_the_folder(backbone: Path, stored: list[str]) -> dict[str, str]:
    """Stored name -> name in the exported folder, for the tensors of the decoder."""
    config = whole_configuration(backbone).get_text_config()
    with torch.device("meta"):
        decoder = AutoModel.from_config(config, trust_remote_code=False)
    family = f"{base_model_prefix(type(decoder))}."
    expected = set(decoder.state_dict())
    # A decoder alone, below an output layer, or as the language part of a model that also takes images.
    prefixes = ("", "model.", family, "model.language_model.", "language_model.model.", "model.text_model.")
    found: dict[str, str] = {}  # stored name -> the decoder's name
    most = 0
    for prefix in dict.fromkeys(prefixes):
        names = {name: name.removeprefix(prefix) for name in stored if name.startswith(prefix)}
        known = sum(name in expected for name in names.values())
        if known > most:
            found, most = names, known
    of_decoder = {name: family + own for name, own in found.items() if _is_decoders(own, expected)}
    if not of_decoder:
        raise UserError(
            f"where the weights of {type(decoder).__name__} are in {backbone} is not known, for {stored[0]} and the"
            " others have none of its names: use another backbone for a model that is to be exported"
        )
    return of_decoder


def _is_decoders(name: str, expected: set[str]) -> bool:
    """Whether a tensor is the decoder's. Experts may be stored one by one, so the first part of the name decides."""
    first = name.partition(".")[0]
    return name in expected or any(other.startswith(f"{first}.") for other in expected)


def _link(where: dict[str, Path], renamed: dict[str, str], backbone: Path, out: Path) -> dict[str, str]:
    changed = next((name for name, new in renamed.items() if name != new), None)
    if changed is not None:
        raise UserError(
            f"the weights in {backbone} cannot be linked, for {changed} has to be called {renamed[changed]}:"
            " use --weights copy"
        )
    index: dict[str, str] = {}
    for name in renamed:
        # Renamed, since transformers would take a file called model.safetensors for the whole model.
        file = f"backbone-{where[name].name}"
        index[name] = file
        if not (out / file).is_symlink():
            (out / file).symlink_to(where[name].resolve())
    return index


def _copy(where: dict[str, Path], renamed: dict[str, str], out: Path) -> dict[str, str]:
    def tensors(names: list[str]) -> dict[str, Tensor]:
        return {renamed[name]: tensor for name, tensor in _tensors(where, names)}

    return _save_in_shards(_sizes(where, set(renamed)), tensors, out)


def _unpack(backbone: Backbone, out: Path, how: Weights, dtype: str) -> tuple[dict[str, str], int]:
    """Write the weights of a GGUF file as safetensors; their index and their size in bytes."""
    if how == "link":
        raise UserError(f"the weights in {backbone.gguf_file} are packed and cannot be linked: use --weights copy")
    settings = BackboneSettings.model_validate({"model": str(backbone.folder), "dtype": dtype})
    decoder = backbone.load(settings, torch.device("cpu"), None)
    family = f"{base_model_prefix(type(decoder))}."
    state = {family + name: tensor.contiguous() for name, tensor in decoder.state_dict().items()}
    sizes = {name: tensor.nbytes for name, tensor in state.items()}
    return _save_in_shards(sizes, lambda names: {name: state[name] for name in names}, out), sum(sizes.values())


def _save_in_shards(
    sizes: dict[str, int], tensors: Callable[[list[str]], dict[str, Tensor]], out: Path
) -> dict[str, str]:
    """Write tensors to files of limited size.

    Args:
        sizes: each tensor's bytes.
        tensors: gives those of some names, under the names that they are written with.
        out: the folder.

    Returns:
        Written name -> its file.
    """
    shards = list(_shards(sizes))
    index: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"backbone-{number:05}-of-{len(shards):05}.safetensors"
        written = tensors(names)
        _save(written, out / file)
        index |= dict.fromkeys(written, file)
    return index


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a file that all users may read; safetensors lets only the owner read it."""
    save_file(tensors, path, SAFETENSORS_METADATA)
    path.chmod(0o644)


def _shards(sizes: dict[str, int]) -> Iterator[list[str]]:
    shard: list[str] = []
    room = SHARD_BYTES
    for name, size in sorted(sizes.items()):
        if shard and size > room:
            yield shard
            shard, room = [], SHARD_BYTES
        shard.append(name)
        room -= size
    yield shard


def _sizes(where: dict[str, Path], names: set[str]) -> dict[str, int]:
    """Size of each tensor in bytes, read from the files' headers."""
    return _each(where, sorted(names), _slice_bytes)


def _tensors(where: dict[str, Path], names: list[str]) -> Iterator[tuple[str, Tensor]]:
    return iter(_each(where, names, lambda file, name: file.get_tensor(name)).items())


def _each(where: dict[str, Path], names: list[str], get: Callable[[Any, str], Value]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for path in sorted({where[name] for name in names}):
        with _opened(path) as file:
            values |= {name: get(file, name) for name in names if where[name] == path}
    return values


def _slice_bytes(file: Any, name: str) -> int:
    part = file.get_slice(name)
    values = 1
    for length in part.get_shape():
        values *= length
    dtype = part.get_dtype()
    if dtype not in _ITEM_BYTES:
        raise UserError(f"{name} is stored as {dtype}, which cannot be exported: use a backbone in bfloat16 or float16")
    return values * _ITEM_BYTES[dtype]


_ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
_ITEM_BYTES |= {"I8": 1, "U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "F8_E8M0": 1}


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged or not there ({error}): fetch the backbone again") from None
