"""Prompts and responses as token ids."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.records import Prompt

TokenIds = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and its responses; `prompt + responses[i]` is conversation i. Shapes (tokens,)."""

    prompt: TokenIds
    responses: tuple[TokenIds, ...]


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt to which responses can be encoded without tokenising it again."""

    turns: Prompt
    text: str
    """The templated text, up to the token at which the prompt's feature is read."""
    ids: TokenIds
    """Shape (tokens,)."""
    end: str
    """The part of `text` that is tokenised again in front of each response; all of it where it cannot be divided."""
    end_tokens: int
    """Number of tokens of `end`."""
