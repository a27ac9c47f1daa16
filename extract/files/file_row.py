"""A row as it lies in a file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row's values in the columns that were asked for, and the names of all the columns that it has."""

    values: Mapping[str, Any]
    columns: Collection[str]
    """The names in the file, those that were not asked for included."""


def doubled(names: Sequence[str], wanted: Collection[str] | None) -> str | None:
    """The first wanted name that stands twice among the columns of a file; None if there is none."""
    return next((name for name in names if (wanted is None or name in wanted) and names.count(name) > 1), None)
