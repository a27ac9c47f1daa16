"""A GGUF file as a backbone: what transformers reads of it, held against its header.

transformers unpacks the weights of the families that it knows and makes a configuration of the metadata.
What it would leave out without a word (a scaling of rotary positions, tensors without a place in its model, blocks
beyond those it counts) changes features, and is refused here.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, PretrainedConfig

from cache import UserError
from cache.errors import refusing
from extract.gguf_header import GgufHeader, GgufTensor, read_header

KEY = "backbone.gguf_file"

OUTPUT_LAYER = "output."
"""Beginning of the names of the output layer's tensors, which a backbone does not use."""

_LIBRARIES = ("gguf", "accelerate")

_SPLIT = "split.count"


def open_gguf(path: Path) -> GgufHeader:
    """The header of a whole file that can be read on this machine.

    Raises:
        UserError: a library is missing, or the file is no GGUF, cut, damaged, or one part of several.
    """
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise UserError(
            f"{KEY} needs the package {' and '.join(missing)}, which is not installed: run `pip install -e '.[gguf]'`"
        )
    header = read_header(path)
    parts = header.metadata.get(_SPLIT, 1)
    if parts not in (0, 1):
        raise UserError(f"{KEY}: {path} is one of {parts} parts of a model: merge them with llama-gguf-split")
    if header.of_family("block_count") is None:
        raise UserError(
            f"{KEY}: {path} has no {header.architecture}.block_count, so it is no language model: name one that is"
        )
    dimensions = [max(tensor.shape, default=0) for tensor in header.tensors]
    for key, most in (("block_count", len(dimensions)), ("expert_count", max(dimensions, default=0))):
        value = header.of_family(key) or 0
        if not isinstance(value, int) or not 0 <= value <= most:
            raise UserError(
                f"{KEY}: {path} says that {key} is {value!r}, and it holds {len(dimensions):,} tensors: fetch it again"
            )
    _check_data(header)
    return header


def gguf_configuration(path: Path) -> PretrainedConfig:
    """The configuration of the model in a file.

    Raises:
        UserError: as `open_gguf`; or transformers does not know the architecture, or would not read all of the model.
    """
    header = open_gguf(path)
    problem = f"{KEY}: transformers makes no model of {path}, whose architecture is {header.architecture!r}"
    with refusing(problem, "use a GGUF of another architecture, or the model's own repository"), alone(path) as folder:
        config = AutoConfig.from_pretrained(folder, gguf_file=path.name, trust_remote_code=False)
        config._attn_implementation = None
        config._experts_implementation = None
        with torch.device("meta"):
            model = AutoModel.from_config(config.get_text_config(), trust_remote_code=False)
    _check_rotary(header, config)
    _check_weights(header, sum(tensor.numel() for tensor in model.parameters()))
    return config


def load_gguf(path: Path, config: PretrainedConfig, dtype: torch.dtype, attention: str | None) -> tuple[Any, Any]:
    """The model in a file, its weights unpacked to `dtype`, and transformers' report of what did not fit."""
    # Without it, weights of some families would stay packed, and be computed with by code that is fetched from the hub.
    unpacked = getattr(transformers, "GgufConfig", None)  # versions that lack it always unpack
    options = {} if unpacked is None else {"quantization_config": unpacked(dequantize=True)}
    with alone(path) as folder, redirect_stderr(io.StringIO()):  # its bar would break ours, and has no switch
        model, report = AutoModel.from_pretrained(
            folder,
            gguf_file=path.name,
            config=config,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # the report names them, and they are refused
            output_loading_info=True,
            **options,
        )
    return model, report


@contextmanager
def alone(path: Path) -> Iterator[Path]:
    """A folder with nothing but a file: transformers prefers a tokenizer.json beside a GGUF to what the GGUF holds."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / path.name).symlink_to(path.resolve())
        yield folder


def _check_data(header: GgufHeader) -> None:
    """Refuse a file whose tensors are not all inside it."""
    sizes: Any = import_module("gguf").GGML_QUANT_SIZES
    length = header.path.stat().st_size
    for tensor in header.tensors:
        if tensor.kind not in sizes:
            raise UserError(
                f"{KEY}: {tensor.name} in {header.path} is of the type {tensor.kind}, which the library gguf does not"
                " know: install a later version, or use a file in another quantisation"
            )
        if header.data + tensor.offset + _bytes(tensor, *sizes[tensor.kind]) > length:
            raise UserError(
                f"{KEY}: {header.path} is cut: {tensor.name} is not all in its {length:,} bytes: fetch it again"
            )


def _bytes(tensor: GgufTensor, block: int, block_bytes: int) -> int:
    return tensor.size // block * block_bytes


def _check_rotary(header: GgufHeader, config: PretrainedConfig) -> None:
    """Refuse scaled rotary positions that the configuration does not have."""
    factor = header.of_family("rope.scaling.factor") or header.of_family("rope.scale_linear") or 1
    kind = header.of_family("rope.scaling.type") or "linear"
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if kind != "none" and factor != 1 and rope.get("rope_type", "default") == "default":
        raise UserError(
            f"{KEY}: {header.path} scales rotary positions ({kind}, by {factor}), which transformers does not read from"
            " a GGUF, so features would be wrong: use the model's own repository"
        )


def _check_weights(header: GgufHeader, asked: int) -> None:
    """Refuse a file with more weights, or far fewer, than the model that transformers makes of it."""
    used = [tensor for tensor in header.tensors if not tensor.name.startswith(OUTPUT_LAYER)]
    held = sum(tensor.size for tensor in used)
    if held == asked:
        return
    beside = sorted(
        tensor.name for tensor in used if not tensor.name.startswith(("blk.", "token_embd.", "output_norm."))
    )
    among = f" ({beside[0]} among them)" if beside else ""
    raise UserError(
        f"{KEY}: {header.path} holds {held:,} weights{among}, and the {header.architecture} that transformers makes of"
        f" it has {asked:,}, so features would be wrong: use the model's own repository"
    )
