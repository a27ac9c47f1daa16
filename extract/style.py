"""Marks of style in a response: Markdown, list items and fenced code, which raters like whatever is said with them.

The marks are those of Chatbot Arena's style control (`count_markdown_elements` of FastChat: headings, bold, lists),
found line by line, with CommonMark's fences:

- `code_fences`: fenced blocks, each counted once. A line of three or more backticks or tildes opens one, with or
  without the name of a language; as many of the same or more, alone on a line, close it, or else the response's end
  does. Inside of a block nothing is counted.
- `markdown`: headings (one to six #, behind three spaces at most, then a blank and something) and bold spans (`**…**`
  or `__…__`) that end on their line and hold something, with no blank at its ends: `2 ** 3 ** 4` is none.
- `lists`: items: -, * or +, or up to nine digits with a dot or bracket, then a blank and something, however far
  indented. A line of nothing but three or more of - or * is a rule across the page and no item.

Lines end with LF, CRLF or CR. White space at either end of a response is not looked at, since many chat templates cut
it off. Each character is read a fixed number of times, whatever the text. `armorm export` copies this module into the
folder's code, so it imports nothing else, and runs wherever transformers does.
"""

import re
from typing import NamedTuple

STYLE = ("markdown", "lists", "code_fences")
"""Names of the marks, in the order of `StyleCounts`."""

BLANK = " \t"

MARKED = re.compile(r"^[ \t]*[`~#*+\-0-9].*", re.MULTILINE)
"""A line that may be a fence, a heading or an item."""

BOLD = re.compile(r"\*\*(?!\s)[^*\n]+(?<!\s)\*\*|__(?!\s)[^_\n]+(?<!\s)__")
"""A bold span. What follows a pair of marks is read up to the next mark or line and once back, so that a text takes a
time in proportion to its length."""


class StyleCounts(NamedTuple):
    """Marks in one response."""

    markdown: int
    lists: int
    code_fences: int


def style_counts(response: str) -> StyleCounts:
    """Count the marks of style in a response, by the rules above."""
    text = response.strip().replace("\r\n", "\n").replace("\r", "\n")
    markdown = lists = code_fences = 0
    fence, outside = "", 0  # the marks that opened the block we are in; where the text outside of blocks begins
    for match in MARKED.finditer(text):
        line = match[0].strip(BLANK)
        first = line[0]
        if fence:
            if line.startswith(fence) and not line.strip(first):
                fence, outside = "", match.end()
        elif first in "`~":
            fence = _opening(line, first)
            if fence:
                code_fences += 1
                markdown += _bold_spans(text, outside, match.start())
        elif first == "#":
            markdown += _is_heading(line, match[0])
        else:
            lists += _is_item(line, first)
    if not fence:
        markdown += _bold_spans(text, outside, len(text))
    return StyleCounts(markdown, lists, code_fences)


def _opening(line: str, mark: str) -> str:
    """The marks with which a line opens a block; empty if it opens none."""
    size = len(line) - len(line.lstrip(mark))
    # Backticks after the name of a language: code within a line.
    return line[:size] if size >= 3 and (mark == "~" or "`" not in line[size:]) else ""


def _bold_spans(text: str, start: int, end: int) -> int:
    return sum(1 for _ in BOLD.finditer(text, start, end))


def _is_heading(line: str, with_blanks: str) -> bool:
    indent = with_blanks[: with_blanks.index("#")]
    size = len(line) - len(line.lstrip("#"))
    return size <= 6 and line[size : size + 1] in (" ", "\t") and len(indent) <= 3 and "\t" not in indent


def _is_item(line: str, first: str) -> bool:
    if first in "*+-":
        is_rule = first != "+" and line.count(first) >= 3 and not line.strip(first + BLANK)
        return line[1:2] in (" ", "\t") and not is_rule
    behind = line[:11].lstrip("0123456789")
    return len(line[:11]) - len(behind) <= 9 and behind[:1] in (".", ")") and behind[1:2] in (" ", "\t")
