"""The blocks of a Markdown page: what a reader types, saves or reads."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:(?<=\n\n)|^)((?: {4}[^\n]*\n|\n(?= {4}))+)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code."""

    language: str
    """Word behind the fence; 'sh' for an indented block, which is typed."""
    file: str
    """Where it is to be saved, named behind the language; empty for most."""
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        language, _, file = fence["info"].partition(" ")
        found.append(Block(language, file, fence["text"], _line(text, fence.start())))
    without = FENCE.sub(lambda fence: re.sub(r"[^\n]", "", fence[0]), text)
    typed = INDENTED.finditer(without)
    found += [Block("sh", "", dedent(each[1]), _line(without, each.start(1))) for each in typed]
    return sorted(found, key=lambda block: block.line)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
