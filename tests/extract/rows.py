"""Helpers of the tests of sources: one raw row through a source, and ways to write conversations."""

from typing import Any

from extract.records import Message, Record, Skipped
from extract.sources import SOURCES
from extract.sources.reader import parse_row
from extract.sources.source import RawRow


def records(source: str, values: dict[str, Any], objectives: dict[str, str] | None = None) -> list[Record | Skipped]:
    """Records that the reader makes of one row."""
    return list(parse_row(SOURCES[source], RawRow(values, "f#7", objectives or {})))


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def talk(*texts: str) -> list[dict[str, str]]:
    """Messages of user and assistant in turn."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def reason(refused: Record | Skipped) -> str:
    assert isinstance(refused, Skipped)
    return refused.reason
