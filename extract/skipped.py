"""The rows of a run that are skipped, each with its data set and the reason."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cache.durable import write_text
from extract.records import Skipped

QUOTED = re.compile(r"((?:column|rating) '[^']*')|'[^']*'|\"[^\"]*\"")
"""Quotations in a reason: in the group the names of the source's columns and ratings, of which there are few."""

NUMBER = re.compile(r"0x[0-9a-f]+|-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")

LISTED = re.compile(r"'…'(?:(?:, | and )(?:'…'|N more))+")
"""A list of quotes, however many they are."""


class SkippedRows:
    """A list of skipped rows and ratings, written as one JSON object per line."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Skipped]] = []

    def add(self, dataset: str, skipped: Skipped) -> None:
        """Add one row, or one part of a row."""
        self._rows.append((dataset, skipped))

    def __len__(self) -> int:
        return len(self._rows)

    def reasons(self, dataset: str) -> dict[str, int]:
        """The first reason of each kind as it stands -> how often a data set has that kind, the most frequent first.

        Reasons are of one kind if they differ only in numbers or in quotes, other than the name of a column or rating.
        """
        return count_by_kind(skipped.reason for name, skipped in self._rows if name == dataset)

    def rows(self, dataset: str) -> int:
        """Number of skipped rows of a data set."""
        return sum(name == dataset and not skipped.rating_only for name, skipped in self._rows)

    def ratings(self, dataset: str) -> int:
        """Number of skipped ratings of a data set whose responses are used with their other ratings."""
        return sum(name == dataset and skipped.rating_only for name, skipped in self._rows)

    def write(self, path: Path) -> None:
        """Write all rows to `path`, durably, in place of the file that was there."""
        lines = (
            json.dumps({"dataset": dataset, "row": skipped.row, "reason": skipped.reason}, ensure_ascii=False)
            for dataset, skipped in self._rows
        )
        write_text(path, "".join(f"{line}\n" for line in lines))


def count_by_kind(reasons: Iterable[str]) -> dict[str, int]:
    """The first reason of each kind as it stands -> how many are of that kind, the most frequent first."""
    examples: dict[str, str] = {}
    counts = Counter(examples.setdefault(kind_of_reason(reason), reason) for reason in reasons)
    return dict(counts.most_common())


def kind_of_reason(reason: str) -> str:
    """The reason without its numbers and quotations, in which reasons of one kind differ."""
    quotes = QUOTED.sub(lambda found: found[1] or "'…'", reason)
    return LISTED.sub("'…'", NUMBER.sub("N", quotes))
