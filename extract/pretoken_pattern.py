"""A tokenizer's regular expression as one of Python's, for texts in an alphabet in which both match the same.

Tokenizers divide a text into pre-tokens by expressions of Oniguruma, whose classes of categories (`p{L}`) Python does
not have. Within a small alphabet a class is a list: ASCII, Latin-1, Latin Extended-A, and signs that are no letters or
numbers. Their categories are the same since Unicode 6.1 (2012), and no two of these characters compose a third.
"""

import re
import unicodedata

SIGNS = ((0x2010, 0x2027), (0x2030, 0x205E), (0x20AC, 0x20AC), (0x2122, 0x2122), (0x2190, 0x22FF))
"""Punctuation, the euro, the trademark, arrows and mathematical operators: all of categories P or S."""

ALPHABET = "".join(map(chr, range(0x17F))) + "".join(chr(code) for low, high in SIGNS for code in range(low, high + 1))
"""The characters of texts to which the expressions apply; not U+017F, which is an s where case is ignored."""

OUTSIDE = re.compile(f"[^\\x00-\\u017e{''.join(f'{chr(low)}-{chr(high)}' for low, high in SIGNS)}]")
"""Finds a character that is not of the alphabet."""

NOWHERE = "\uffff"
"""A member of every class, so that none is empty; not of the alphabet."""

SPACES = r"\t\n\x0b\x0c\r \x85\xa0"
"""Unicode's White_Space within the alphabet. Python's `\\s` has four control characters besides."""

LEXEME = re.compile(
    r"(?P<category>\\p\{[LNM][a-z]?\})|(?P<space>\\s)|(?P<dark>\\S)|(?P<open>\[\^?)|(?P<close>\])"
    r"|(?P<whole>\(\?(?::|!)|\(\?i:(?:'(?:[smtd]|re|ve|ll)\|?)+\)|\{\d+(?:,\d*)?\}(?![+*?]))"
    r"|(?P<one>\\[rnt/]|\)(?![*+{])|\||[+*?](?![+*?])|[A-Za-z0-9' /])"
)
"""A part of an expression whose meaning is known to be the same in Oniguruma and in Python. No group is repeated, which
could take time without end."""


def pattern_of(expression: str) -> re.Pattern[str] | None:
    """The expression for texts in `ALPHABET`, or None if it has a part whose meaning is not known to be the same.

    A pattern that is returned has no group, and matches no empty text.
    """
    made: list[str] = []
    inside, at = False, 0
    while at < len(expression):
        found = LEXEME.match(expression, at)
        if found is None or (inside and found.lastgroup in ("dark", "open", "whole")):
            return None
        kind, text = str(found.lastgroup), found[0]
        members = _members(text[3:-1]) if kind == "category" else SPACES
        if kind in ("category", "space"):
            made.append(members if inside else f"[{members}{NOWHERE}]")
        elif kind == "dark":
            made.append(f"[^{SPACES}]")
        else:
            made.append(text + NOWHERE if kind == "open" else text)
        inside = kind == "open" or (inside and kind != "close")
        at = found.end()
    try:
        pattern = re.compile("".join(made))
    except re.error:
        return None
    return None if pattern.match("") else pattern


def _members(category: str) -> str:
    """The characters of a category, as members of a class."""
    return "".join(re.escape(letter) for letter in ALPHABET if unicodedata.category(letter).startswith(category))
