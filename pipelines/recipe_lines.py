"""The line of a recipe's file on which a key stands, which `tomllib` does not tell."""

import re
from collections import Counter

Key = tuple[str | int, ...]
"""Place of a value, as pydantic gives it: ("ratings", 0, "columns", "politeness")."""

PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
DOTTED = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER = re.compile(rf"\s*(\[\[?)\s*({DOTTED})\s*\]")
ASSIGNMENT = re.compile(rf"\s*({DOTTED})\s*=")
LONG_TEXT = re.compile(r"\"\"\"|'''")


def line_of(text: str, key: Key) -> int | None:
    """Number of the line of a key, or of the innermost table or value around it that has a line; None if none has.

    Args:
        text: a TOML file that `tomllib` reads.
        key: place of a value.
    """
    lines = _lines(text)
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), None)


def _lines(text: str) -> dict[Key, int]:
    """Key -> line, of tables and of values that begin a line."""
    lines: dict[Key, int] = {}
    tables: Counter[Key] = Counter()
    table: Key = ()
    within: str | None = None
    """The quotes that end the text of several lines that a line is in."""
    for number, line in enumerate(text.splitlines(), start=1):
        if within is None:
            if header := HEADER.match(line):
                table = _parts(header[2])
                if header[1] == "[[":
                    tables[table] += 1
                    table = (*table, tables[table] - 1)
                elif (owner := table[:1]) in tables:  # [ratings.scales] belongs to the last [[ratings]]
                    table = (*owner, tables[owner] - 1, *table[1:])
                lines.setdefault(table, number)
            elif assignment := ASSIGNMENT.match(line):
                lines.setdefault((*table, *_parts(assignment[1])), number)
        for quotes in LONG_TEXT.findall(line):
            if within is None:
                within = quotes
            elif within == quotes:
                within = None
    return lines


def _parts(dotted: str) -> Key:
    return tuple(part.strip("\"'") for part in re.findall(PART, dotted))
