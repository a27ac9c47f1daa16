"""The checks of texts, numbers and lengths, in the words with which every command refuses.

Each gives the reason as the rest of a sentence that begins with the name of what is looked at ("the response is
empty"), or None.
"""

import math
from collections.abc import Callable


def text_fault(text: str, *, empty: bool = False, special: Callable[[str], str | None] | None = None) -> str | None:
    """The reason why a text cannot be read.

    Args:
        text: the text.
        empty: whether a text that is empty, or white space alone, passes.
        special: finds a special token that it must not spell (`extract.special_tokens.TokenFinder`).
    """
    if not empty and (not text or text.isspace()):
        return "is empty"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # JSON can spell it; tokenizers, UTF-8 and Arrow cannot hold it
            return "holds half of a surrogate pair, which is not text"
    spelled = None if special is None else special(text)
    return None if spelled is None else f"spells the special token {spelled}"


def number_fault(number: float) -> str | None:
    """The reason why a number cannot be used; JSON's 1e400 is read as infinity."""
    if math.isfinite(number):
        return None
    if math.isnan(number):
        return "is NaN, expected a number"
    return "is infinite, expected a number"


def length_fault(tokens: int, most: int | None) -> str | None:
    """The reason why a conversation, or a part of it, has too many tokens; `most` None: no number is too many."""
    return None if most is None or tokens <= most else f"has {tokens} tokens, more than max_tokens = {most}"
