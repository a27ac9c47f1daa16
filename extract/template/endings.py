"""The end of a message in templated text, learned from what the template writes after a message.

Most templates write one closing token, and perhaps white space. Some write more: the header of the next assistant turn
(Llama 3.1 as first published), or an end of text after the end of the turn (Phi 3). The surplus is the same text after
every message, so it is taken off at the end of a text; it is never searched for, since a message may spell anything.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from extract.template.rendering import NotEncodableError


class NoEndError(Exception):
    """There is no telling where a message ends; the message is the text that the template writes after it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The text that a template writes after a message's content."""

    closing: str
    """The part that closes the message: a feature is read at its last token."""
    surplus: str
    """The part after it that belongs to no message; empty for most templates."""

    def cut(self, text: str, strip: bool) -> str:
        """A templated text up to the end of its last message.

        Args:
            text: the text.
            strip: whether white space at its end is taken off too.

        Raises:
            NotEncodableError: the text does not end with the surplus.
        """
        if self.surplus:
            if not text.endswith(self.surplus):
                raise NotEncodableError(
                    "the templated text does not end as it does after other messages, so its end is unknown"
                )
            text = text[: -len(self.surplus)]
        return text.rstrip() if strip else text

    def cut_if_there(self, text: str, strip: bool) -> str:
        """As `cut`, for text from elsewhere, which may end with the surplus, a part of its white space, or without."""
        for surplus in (self.surplus, self.surplus.rstrip()):
            if surplus and text.endswith(surplus):
                text = text[: -len(surplus)]
                break
        return text.rstrip() if strip else text


def ending(after: str, continued: str | None, start: str, markers: Collection[str], strip: bool) -> Ending:
    """Divide the text after the last message of a conversation.

    Args:
        after: that text.
        continued: the text after the same message where another one follows, up to that one's content; None if
            the template takes no more messages.
        start: the text before the first message, which begins with the token that opens turns.
        markers: added tokens of the tokenizer, which are read as one token wherever they stand.
        strip: whether white space at the end is left off.

    Raises:
        NoEndError: what is written after the last message alone is no token that could close it.
    """
    whole = after.rstrip() if strip else after
    if continued is not None and continued.startswith(whole):
        closing = whole
    else:
        # The closing of a message is written after it whatever follows.
        parts = pieces(after, markers)
        others = pieces(continued or "", markers)
        same = next((i for i, (a, b) in enumerate(zip(parts, others, strict=False)) if a != b), None)
        same = min(len(parts), len(others)) if same is None else same
        closing = "".join(parts[:same])
        if not closing.strip():  # the last message is closed in a way of its own
            first = next((i for i, part in enumerate(parts) if part in markers), None)
            if first is None:
                raise NoEndError(after)
            closing = "".join(parts[: first + 1])
            if not strip and not after[len(closing) :].strip():
                closing = after
    parts = pieces(closing, markers)
    openers = _openers(start, markers)
    for place, part in enumerate(parts):
        if part in openers and "".join(parts[:place]).strip():
            closing = "".join(parts[:place])
            break
    if strip:
        closing = closing.rstrip()
    surplus = after[len(closing) :]
    return Ending(closing, surplus if surplus.strip() else "")


def _openers(start: str, markers: Collection[str]) -> set[str]:
    """The markers that a conversation begins with: BOS, and the tokens that open a turn."""
    return set(takewhile(lambda part: part in markers, pieces(start, markers)))


def pieces(text: str, markers: Collection[str]) -> list[str]:
    """The text cut at markers, each of which is a piece of its own."""
    if not markers:
        return [text] if text else []
    longest_first = sorted(markers, key=len, reverse=True)
    return [part for part in re.split(f"({'|'.join(map(re.escape, longest_first))})", text) if part]
