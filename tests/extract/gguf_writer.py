"""A small GGUF file written by the library gguf, with the model that it was made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaModel

from tests.conftest import TINY

FILE = "small.Q8_0.gguf"
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|pad|>"]
MERGES = [("t", "h"), ("th", "e")]
TOKENS = [*SPECIAL, *sorted(ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
TEMPLATE = (TINY / "chat_template.jinja").read_text()

BLOCK = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
"""ggml's name of a tensor in a block -> transformers'."""


def small_llama() -> LlamaModel:
    """Two layers of random weights."""
    config = LlamaConfig(
        vocab_size=len(TOKENS), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-6, attn_implementation="sdpa",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return LlamaModel(config).eval()


def tensors_of(model: LlamaModel) -> dict[str, np.ndarray[Any, Any]]:
    """Weights under ggml's names; rows of queries and keys in its order, where the halves of a head alternate."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    found = {"token_embd.weight": state["embed_tokens.weight"], "output_norm.weight": state["norm.weight"]}
    for layer in range(model.config.num_hidden_layers):
        for ours, theirs in BLOCK.items():
            found[f"blk.{layer}.{ours}.weight"] = state[f"layers.{layer}.{theirs}.weight"]
        for name, heads in (("attn_q", model.config.num_attention_heads), ("attn_k", model.config.num_key_value_heads)):
            weight = found[f"blk.{layer}.{name}.weight"]
            halves = weight.reshape(heads, 2, -1, weight.shape[-1])
            found[f"blk.{layer}.{name}.weight"] = halves.swapaxes(1, 2).reshape(weight.shape)
    return found


def write_gguf(
    folder: Path,
    *,
    architecture: str = "llama",
    packed: bool = False,
    tensors: Callable[[dict[str, Any]], object] = lambda _: None,
    metadata: Callable[[gguf.GGUFWriter], object] = lambda _: None,
    blocks: int | None = 2,
) -> Path:
    """Write `FILE` into a folder.

    Args:
        folder: made if it is not there.
        architecture: its name in the metadata.
        packed: whether matrices are stored as Q8_0, else all is float32.
        tensors: changes the tensors before they are written.
        metadata: adds to the metadata.
        blocks: the number of blocks that the metadata say; None: they do not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = small_llama()
    writer = gguf.GGUFWriter(folder / FILE, architecture)
    if blocks is not None:
        writer.add_uint64(f"{architecture}.block_count", blocks)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(TOKENS)
    writer.add_token_types(
        [gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * (len(TOKENS) - len(SPECIAL))
    )
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(4)
    writer.add_pad_token_id(5)
    writer.add_chat_template(TEMPLATE)
    metadata(writer)
    held = tensors_of(model)
    tensors(held)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, values in held.items():
        if packed and values.ndim == 2:
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder
