"""`manifest.count` vouches for a manifest's lines: how many there were, and a digest of them.

It is written after the line that it counts. A crash in between leaves one line more than the count says, which is
right; where there are fewer, lines were lost. Version 0.2 wrote no count: its manifests are taken as they are.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from cache import checked_lines
from cache.durable import sync_folder

SUFFIX = ".count"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256, hexadecimal."""


@dataclass(frozen=True, slots=True)
class LineCount:
    """The sealed count."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    lines: Annotated[int, Field(ge=0)]
    sha256: Sha256
    """SHA-256 of these lines, each with its newline."""


def write(path: Path) -> None:
    """Vouch for the lines that a manifest has now, durably. Call it inside `checked_lines.turn`."""
    lines = checked_lines.whole_lines(path)
    counted = LineCount(len(lines), _digest(lines))
    if _read(path) != [counted]:
        checked_lines.rewrite(_place(path), [asdict(counted)])


def remove(path: Path) -> None:
    """Vouch for nothing, durably."""
    _place(path).unlink(missing_ok=True)
    sync_folder(path.parent)


def problem(path: Path) -> str | None:
    """One sentence if lines that were counted are not there any more."""
    match _read(path):
        case []:
            return None
        case [LineCount(lines=n, sha256=digest)]:
            lines = checked_lines.whole_lines(path)
            if len(lines) < n:
                return f"{path} has {len(lines):,} lines and had {n:,}"
            return None if _digest(lines[:n]) == digest else f"{path} does not hold the lines that were sealed"
        case _:
            return f"{_place(path)} is damaged"


def _read(path: Path) -> list[LineCount | None]:
    place = _place(path)
    if not place.exists():
        return []
    return [line.value for line in checked_lines.read(place, LineCount)] or [None]


def _place(path: Path) -> Path:
    return path.with_suffix(SUFFIX)


def _digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
