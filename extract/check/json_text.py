"""Whole rows in a piece of JSON text that may be cut."""

import re
from dataclasses import dataclass


def is_array(text: bytes) -> bool:
    """Whether a text begins as an array of rows."""
    return text.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def whole_lines(text: bytes, ended: bool) -> list[bytes]:
    """The lines of a text, with their ends; without the last if it is not known to be whole."""
    lines = text.splitlines(keepends=True) if b"\r" not in text else re.findall(rb"[^\n]*\n|[^\n]+\Z", text)
    if lines and not ended and not lines[-1].endswith(b"\n"):
        lines.pop()
    return [line for line in lines if line.strip()]


@dataclass(frozen=True, slots=True)
class Elements:
    """The first elements of an array."""

    text: bytes
    """An array of them alone."""
    rows: int
    end: int
    """Where the last of them ends."""
    ended: bool
    """Whether the array ends after them."""


def first_elements(text: bytes, rows: int) -> Elements:
    """The first elements of an array that may be cut, found by the depth of brackets outside of strings."""
    depth = count = end = 0
    # A string that is cut goes on to the end: its brackets are none.
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', text, re.DOTALL):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == 1:
                count, end = count + 1, token.end()
                if count == 2 * rows:
                    break
            if depth == 0:
                return Elements(text, count, end, ended=True)
    return Elements(text[:end] + b"]" if count else b"[]", count, end, ended=False)
