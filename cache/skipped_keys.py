"""Keys that are skipped because their features cannot be stored: not finite, or beyond the dtype's range."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from cache import checked_lines
from cache.keys import KEY_BYTES

FILE = "refused.jsonl"
"""File name inside a store. Stores on disk have it under this name; another would lose their skipped keys."""


@dataclass(frozen=True, slots=True)
class SkippedKey:
    """A line of the file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * KEY_BYTES}}}$")]
    """Hexadecimal."""
    reason: str


def append(path: Path, reasons: dict[bytes, str]) -> None:
    """Add one line per key, durably."""
    checked_lines.append(path, (asdict(SkippedKey(key.hex(), reason)) for key, reason in reasons.items()))


def read(path: Path) -> dict[bytes, str]:
    """Key -> reason. A line that cannot be used is ignored: its key is computed, and skipped, once more."""
    return {bytes.fromhex(key.key): key.reason for key in _examine(path)[0]}


def problems(path: Path) -> list[str]:
    """One sentence per line that cannot be used."""
    return _examine(path)[1]


def drop_bad_lines(path: Path) -> None:
    """Rewrite the file without the lines that cannot be used, durably."""
    checked_lines.rewrite(path, map(asdict, _examine(path)[0]))


def _examine(path: Path) -> tuple[list[SkippedKey], list[str]]:
    lines = checked_lines.read(path, SkippedKey)
    keys = [line.value for line in lines if line.value is not None]
    return keys, [f"{path}, line {line.number}, {line.problem}" for line in lines if line.value is None]
