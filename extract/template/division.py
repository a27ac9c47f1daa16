"""Where templated text may be divided, so that its parts have the tokens of the whole.

A tokenizer looks for its special tokens first, and reads each stretch between two of them by itself. So text can be
divided in front of a special token: the parts' tokens, one after the other, are the tokens of the whole. A prompt of
many responses is tokenised once in this way, and each response with no more than the end of the prompt before it.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

from extract.records import Message
from extract.template.examples import CONVERSATION, EXAMPLE
from extract.template.rendering import NotEncodableError, render


def undivided_end(tokenizer: Any, closing: str) -> str | None:
    """The part of a closing text from its last special token on, which may be tokenised apart from what is before it.

    Args:
        tokenizer: the tokenizer.
        closing: the text that the chat template writes after the prompt's last message.

    Returns:
        The end of `closing`; None if it has no special token in front of which text may be divided.
    """
    if not tokenizer.is_fast or getattr(tokenizer, "split_special_tokens", False):
        return None
    # A normalised token is looked for later, in stretches that were normalised whole; one that must be a word by itself
    # depends on what stands before it.
    places = [
        closing.rfind(str(token))
        for token in tokenizer.added_tokens_decoder.values()
        if token.special and not token.normalized and not token.single_word
    ]
    last = max(places, default=-1)
    return closing[last:] if last >= 0 else None


def least_tokens_of_a_turn(tokenizer: Any, special: Collection[str]) -> int:
    """Smallest number of tokens of one more turn: its special tokens, and one for a text that is not empty.

    Args:
        tokenizer: has the chat template.
        special: special tokens of the tokenizer, none of which merges with text beside it.
    """
    text = EXAMPLE[0].content
    answered = (*CONVERSATION, Message("user", text), Message("assistant", text))
    try:
        rendered = [render(tokenizer, answered[: len(CONVERSATION) + more]) for more in range(3)]
    except NotEncodableError:  # a template for one turn alone
        return 1
    return 1 + min(
        sum(max(longer.count(token) - shorter.count(token), 0) for token in special)
        for shorter, longer in pairwise(rendered)
    )
