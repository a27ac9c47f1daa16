"""The checks of texts, numbers and lengths, in the words with which every command refuses.

Each gives the reason as the rest of a sentence that begins with the name of what is looked at ("the response is
empty"), or None.
"""

import math
from collections.abc import Iterable


def text_fault(text: str, *, empty: bool = False, special: Iterable[str] = ()) -> str | None:
    """The reason why a text cannot be read.

    Args:
        text: the text.
        empty: whether a text that is empty, or white space alone, passes.
        special: special tokens that it must not spell.
    """
    if not empty and not text.strip():
        return "is empty"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can spell it; tokenizers, UTF-8 and Arrow cannot hold it
            return "holds half of a surrogate pair, which is not text"
    spelled = next((token for token in special if token in text), None)
    return None if spelled is None else f"spells the special token {spelled}"


def number_fault(number: float) -> str | None:
    """The reason why a number cannot be used; JSON's 1e400 is read as infinity."""
    if math.isnan(number):
        return "is NaN, expected a number"
    return "is infinite, expected a number" if math.isinf(number) else None


def length_fault(tokens: int, most: int | None) -> str | None:
    """The reason why a conversation, or a part of it, has too many tokens; `most` None: no number is too many."""
    return None if most is None or tokens <= most else f"has {tokens} tokens, more than max_tokens = {most}"
