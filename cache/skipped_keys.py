"""Keys that are skipped because their features cannot be stored: not finite, or beyond the dtype's range."""

from pathlib import Path

from cache import checked_lines

FILE = "refused.jsonl"
"""File name inside a store. Stores on disk have it under this name; another would lose their skipped keys."""


def append(path: Path, reasons: dict[bytes, str]) -> None:
    """Add one line per key, durably."""
    checked_lines.append(path, ({"key": key.hex(), "reason": reason} for key, reason in reasons.items()))


def read(path: Path) -> dict[bytes, str]:
    """Key -> reason. A damaged line is ignored: its key is computed, and skipped, once more."""
    values = [line.value for line in checked_lines.read(path) if line.value is not None]
    return {bytes.fromhex(value["key"]): str(value["reason"]) for value in values}
