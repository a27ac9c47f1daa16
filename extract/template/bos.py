"""The BOS token: whether the template writes it, the tokenizer, or neither."""

from typing import Any, Literal

import numpy as np

from extract.encoded import TokenIds
from extract.template.examples import CONVERSATION
from extract.template.rendering import NotEncodableError, render


def added_bos(tokenizer: Any) -> int | None:
    """The BOS id, where the tokenizer by itself puts one in front of a text."""
    bos: int | None = tokenizer.bos_token_id
    return bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None


def with_bos(ids: TokenIds, bos: int | None) -> TokenIds:
    """Token ids that begin with the BOS id, if there is one. Shape (tokens,)."""
    return ids if bos is None or ids[:1].tolist() == [bos] else np.concatenate([np.array([bos], np.uint32), ids])


def writer_of_bos(tokenizer: Any) -> Literal["template", "tokenizer", "none"]:
    """The writer of a conversation's BOS: the template, the tokenizer, or none."""
    bos = tokenizer.bos_token_id
    try:
        text = render(tokenizer, CONVERSATION)
    except NotEncodableError:  # the probe says so
        return "none"
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if bos is not None and ids[:1] == [bos]:
        return "template"
    return "none" if added_bos(tokenizer) is None else "tokenizer"
