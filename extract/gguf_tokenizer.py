"""The tokenizer in a GGUF file, with the words that its merges were learned on.

transformers makes it of the metadata. Where it does not know the file's way to split a text into words, it takes
GPT-2's and says nothing; some of those ways are known here, and of the others a warning tells.
"""

import json
import logging
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

from extract.gguf_file import alone
from extract.gguf_header import read_header

log = logging.getLogger(__name__)

LIKE_GPT_2 = ("default", "gpt-2", "granite-docling", "jais", "mpt", "olmo", "trillion", None)
"""Values of `tokenizer.ggml.pre` for GPT-2's way (llama.cpp, src/llama-vocab.cpp)."""

DIGITS_APART = ("codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm", "starcoder")
"""Values for GPT-2's way after every digit was taken by itself (the same table)."""


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a file, its chat template included."""
    with alone(path) as folder:
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=path.name, trust_remote_code=False)
    words = read_header(path).metadata.get("tokenizer.ggml.pre")
    if words in LIKE_GPT_2 or not _splits_like_gpt_2(tokenizer):
        return tokenizer
    if words in DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        return tokenizer
    log.warning(
        "%s splits texts into words as %r does, which is not known here: they are split as GPT-2's are. If the model's"
        " own repository has a tokenizer.json, compare the two on texts with numbers and spaces",
        path.name,
        words,
    )
    return tokenizer


def _splits_like_gpt_2(tokenizer: Any) -> bool:
    found = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    return found.get("type") == "ByteLevel" and found.get("use_regex") is True
