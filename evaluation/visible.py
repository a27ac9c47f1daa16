"""Text of data sets for readers: hidden characters are shown by number, and long texts are cut, with a sentence."""

import re
from dataclasses import dataclass

MOST_CHARACTERS = 1500
MOST_LINES = 40

# Controls but tab and newline; marks that turn the direction of writing around, by which a line can be made to read as
# another; halves of surrogate pairs, which no UTF-8 file can hold. Joiners stay: scripts and emoji need them.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Passage:
    """The beginning of a text."""

    shown: str
    cut: str
    """A sentence about the part that is not shown; empty where the whole text is."""


def visible(text: str) -> str:
    """The text with every hidden character as its number, such as ⟨U+202E⟩."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n"))


def passage(text: str) -> Passage:
    """At most 1,500 characters and 40 lines of a text; `shown` is unchanged: apply `visible` after it."""
    beginning = "\n".join(text[:MOST_CHARACTERS].split("\n")[:MOST_LINES])
    if len(beginning) == len(text):
        return Passage(text, "")
    return Passage(beginning, f"Cut here: {len(beginning):,} of {len(text):,} characters are shown.")
