"""The facts of a backbone's configuration, asked of transformers' own names, since families have names of their own.

`get_text_config` gives the language part, `attribute_map` translates a family's names, and the model class says which
attention it supports and whether it is recurrent. A fact that a family does not have is None, or a refusal.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, PretrainedConfig

from cache import UserError
from cache.errors import refusing
from cache.names import GgufFile
from extract.gguf_file import gguf_configuration
from extract.stored_weights import REMEDY, check_loops, read_headers


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of a decoder that do not depend on its weights."""

    family: str
    """The configuration's `model_type`."""
    hidden_size: int
    hidden_layers: int
    vocabulary: int
    """Number of embeddings; every token id is below it."""
    positions: int | None
    """Number of positions that it was made for; None for families whose attention or recurrence has no limit."""
    steady_positions: int | None
    """Number of tokens up to which a position's encoding does not depend on the other sequences of a pass; None if it
    never does."""
    attention_exchangeable: bool
    """Whether transformers can exchange this family's attention, which packing needs, and no layer hands a state from
    token to token, which would run from one conversation of a pack into the next."""
    layer_kinds: frozenset[str]
    """The configuration's `layer_types`; empty if all layers are of one kind."""
    stored_dtype: str | None = None
    """Dtype of the weights in their files, such as 'bfloat16', as the configuration says; None if it does not."""


def whole_configuration(
    folder: Path, key: str = "backbone.model", gguf_file: GgufFile | None = None
) -> PretrainedConfig:
    """The configuration in a folder, held against the headers of the weights before transformers reads it.

    Code in the folder is never run, so families that transformers does not know are refused. The implementations of
    attention and experts that the file may name are taken out: a name such as `org/kernel` would have transformers
    fetch compiled code from the hub, and without one it takes its own.

    Args:
        folder: with config.json and safetensors.
        key: the setting or option that named it, for errors.
        gguf_file: a GGUF file in the folder, which is read in place of both.

    Raises:
        UserError: config.json cannot be read, or asks for more layers than there are weights; or as
            `gguf_configuration`.
    """
    if gguf_file is not None:
        return gguf_configuration(folder / gguf_file)
    with refusing(f"{key}: {folder} cannot be read as a model", REMEDY):  # classes check values in ways of their own
        check_loops(folder, read_headers(folder), key)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        config._attn_implementation = None
        config._experts_implementation = None
    return config


def read_configuration(folder: Path, gguf_file: GgufFile | None = None) -> PretrainedConfig:
    """The configuration of the decoder in a folder; of a model that also takes images, its language part.

    Args:
        folder: with config.json and safetensors.
        gguf_file: a GGUF file in the folder, which is read in place of both.

    Raises:
        UserError: config.json cannot be read, or the model is no decoder.
    """
    whole = whole_configuration(folder, gguf_file=gguf_file)
    with refusing(f"backbone.model: {folder} cannot be read as a model", REMEDY):
        config = whole.get_text_config()
    if whole.is_encoder_decoder or config.is_encoder_decoder:
        raise UserError(
            f"backbone.model: {folder} is an encoder with a decoder ({config.model_type}), and a state after a whole"
            " conversation is needed: use a decoder-only model"
        )
    return config


def read_facts(config: PretrainedConfig, folder: Path) -> ModelFacts:
    """The facts of a decoder.

    Args:
        config: from `read_configuration`.
        folder: named in errors.

    Raises:
        UserError: a size is missing.
    """
    model: Any = MODEL_MAPPING.get(type(config), None)
    kinds = frozenset(getattr(config, "layer_types", None) or ())
    exchangeable = bool(getattr(model, "_supports_attention_backend", False))
    return ModelFacts(
        family=config.model_type,
        hidden_size=_size(config, "hidden_size", folder),
        hidden_layers=_size(config, "num_hidden_layers", folder),
        vocabulary=_size(config, "vocab_size", folder),
        positions=_positions(config),
        steady_positions=_steady_positions(config),
        attention_exchangeable=exchangeable and not getattr(model, "_is_stateful", False),
        layer_kinds=kinds,
        stored_dtype=str(config.dtype).removeprefix("torch.") if getattr(config, "dtype", None) else None,
    )


def has_table_of_positions(config: PretrainedConfig, positions: int) -> bool:
    """Whether positions are looked up in a table, so that there is none beyond the last."""
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    tokens = model.get_input_embeddings()
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding) and module is not tokens]
    tables += [buffer for buffer in model.buffers() if buffer.ndim == 2]  # GPT-J's sines
    # OPT's table has two rows more than positions.
    return any(positions <= len(table) <= positions + 2 for table in tables)


def without_unknown_padding(config: PretrainedConfig) -> None:
    """Take out of a configuration a padding token that has no embedding, which transformers refuses to build."""
    text = config.get_text_config()
    padding = getattr(text, "pad_token_id", None)
    if padding is not None and not -text.vocab_size <= padding < text.vocab_size:
        text.pad_token_id = None


def _size(config: PretrainedConfig, name: str, folder: Path) -> int:
    value = getattr(config, name, None)
    if not isinstance(value, int) or value < 1:
        raise UserError(
            f"backbone.model: the configuration of {folder} ({config.model_type}) has no {name} of 1 or more: use a"
            " decoder-only language model"
        )
    return value


def _positions(config: PretrainedConfig) -> int | None:
    for name in ("max_position_embeddings", "max_seq_len"):  # MPT's name has no translation
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:  # XLNet has -1
            return value
    return None


def _steady_positions(config: PretrainedConfig) -> int | None:
    """See `ModelFacts.steady_positions`.

    Two of transformers' rotary encodings (modeling_rope_utils.py) depend on the longest sequence of the pass, and
    "dynamic" on those of earlier passes too: longer features would depend on what else was computed.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    for parameters in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        if parameters.get("rope_type") == "dynamic":
            return _positions(config)
        if parameters.get("rope_type") == "longrope":
            original = parameters.get("original_max_position_embeddings")
            return _positions(config) if original is None else int(original)
    return None
