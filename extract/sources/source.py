"""The description of a source: its files in their repository, and how one raw row becomes records."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from extract.checks import number_fault, text_fault
from extract.listing import listed
from extract.records import Prompt, RatedResponse, Record, Skipped

MISSING_RATINGS = frozenset({"", "n/a", "na", "none", "null", "nan"})
"""Values of the public rating sets for a missing rating, in lower case."""

MOST_CHARACTERS = 40
"""Most characters of a column's name in a reason."""

Kind = Literal["ratings", "pairs", "suite"]


class BadRowError(Exception):
    """The row cannot be used; the message is the reason for skipping it.

    `subset` is the suite's subset that the row counts in, None if unknown.
    """

    def __init__(self, reason: str, subset: str | None = None) -> None:
        super().__init__(reason)
        self.subset = subset


@dataclass(frozen=True, slots=True)
class RawRow:
    """One raw row of a data set, with accessors that raise `BadRowError` for missing or malformed values."""

    values: Mapping[str, Any]
    where: str
    """Name of the row inside the data set: file, '#', number of the row from 0."""
    objectives: Mapping[str, str] = field(default_factory=dict)
    """Objective name -> column, for sources whose rating columns the recipe names."""
    columns: Collection[str] = ()
    """Names of all columns that the row has in its file, those that are not read included; empty: those of `values`."""

    def value(self, column: str) -> Any:
        """The value of a column that must exist."""
        if column not in self.values:
            raise BadRowError(f"column '{column}' is missing; {self.seen()}")
        return self.values[column]

    def seen(self) -> str:
        """The row's columns in words, for a reason why it cannot be used."""
        return f"the row has {quoted(self.columns or self.values) or 'no column'}"

    def text(self, column: str) -> str:
        """A column that must hold a non-empty string."""
        return nonempty_text(self.value(column), f"column '{column}'")

    def texts(self, column: str) -> tuple[str, ...]:
        """A column that must hold a non-empty list of non-empty strings."""
        values = self.records(column)
        return tuple(nonempty_text(value, f"column '{column}'[{number}]") for number, value in enumerate(values))

    def identifier(self, column: str) -> str:
        """The text of a column that names the row by a text or a number."""
        value = self.value(column)
        if value is None:
            raise BadRowError(f"column '{column}' is empty")
        return nonempty_text(str(value), f"column '{column}'")

    def records(self, column: str) -> list[Any]:
        """A column that must hold a non-empty list."""
        value = self.value(column)
        if not isinstance(value, list | tuple) or not value:
            raise BadRowError(f"column '{column}' is not a non-empty list")
        return list(value)

    def part(self, name: str | int) -> str:
        """The name of a part of the row, for a source that makes several records of one row."""
        return f"{self.where}/{name}"


def quoted(names: Iterable[str]) -> str:
    """Names of columns or keys for a reason, whatever characters they have; empty where there is none."""
    return listed(repr(name[:MOST_CHARACTERS]) for name in names)


def nonempty_text(value: Any, what: str) -> str:
    """`value`, which must be a string with more than white space; `what` names it in the error."""
    return any_text(value, what, empty=False)


def any_text(value: Any, what: str, *, empty: bool = True) -> str:
    """`value`, which must be a string; `what` names it in the error, and `empty` says whether white space passes."""
    if value is None:
        raise BadRowError(f"{what} is empty")
    if not isinstance(value, str):
        raise BadRowError(f"{what} is {type(value).__name__}, expected text")
    if fault := text_fault(value, empty=empty):
        raise BadRowError(f"{what} {fault}")
    return value


def only(value: Any) -> Any:
    """The element of a list of one, which some releases of a set have where others have the element; else `value`."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value`, which must be a JSON object, or a list of one; `what` names it in the error."""
    value = only(value)
    if not isinstance(value, Mapping):
        raise BadRowError(f"{what} is {type(value).__name__}, expected an object")
    return value


@contextmanager
def in_subset(subset: str) -> Iterator[str]:
    """The subset; a `BadRowError` raised inside the block carries it, so that the row is reported in its subset."""
    try:
        yield subset
    except BadRowError as reason:
        raise BadRowError(str(reason), subset) from None


def rating(value: Any, what: str) -> float | None:
    """A rating as a number: from int, float, bool, decimal or a numeric string; None if it is missing or NaN.

    Raises `BadRowError` for anything else, infinity included. Whether the rating is on the scale is checked later,
    where the recipe's scale is known.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if value.strip().lower() in MISSING_RATINGS:
            return None
        try:
            number = float(value)
        except ValueError:
            raise BadRowError(f"{what} is {value[:40]!r}, expected a number") from None
    elif isinstance(value, bool | int | float | Decimal):
        try:
            number = float(value)
        except OverflowError:
            raise BadRowError(f"{what} is a number too large to be a rating") from None
    else:
        raise BadRowError(f"{what} is {type(value).__name__}, expected a number")
    if math.isnan(number):
        return None
    if fault := number_fault(number):
        raise BadRowError(f"{what} {fault}")
    return number


def rated_response(
    row: str, prompt: Prompt, response: str, raw_ratings: Mapping[str, Any]
) -> Iterator[RatedResponse | Skipped]:
    """Yield the response with the readable ratings, and one `Skipped` for each unreadable rating.

    `raw_ratings` maps an objective to its raw value in the data set.
    """
    ratings: dict[str, float] = {}
    for objective, value in raw_ratings.items():
        try:
            number = rating(value, f"the rating '{objective}'")
        except BadRowError as reason:
            yield Skipped(row, str(reason), rating_only=True)
            continue
        if number is not None:
            ratings[objective] = number
    yield RatedResponse(row, prompt, response, ratings)


@dataclass(frozen=True, slots=True)
class Source:
    """One data set in its official raw schema.

    `parse` turns one raw row into records. It raises `BadRowError` when the whole row cannot be used and
    yields `Skipped` for a part of it (one completion of four, one rating of five), so that the rest
    of the row is used.
    """

    name: str
    kind: Kind
    repo: str | None
    """`org/name` of the data set on the hub; None if the recipe must name it."""
    files: tuple[str, ...]
    """Glob patterns of the files inside the repository, relative to its root."""
    columns: tuple[str, ...]
    """Columns that `parse` reads, beside the rating columns that the recipe names; a file's other columns are not
    read."""
    parse: Callable[[RawRow], Iterator[Record | Skipped]]
    objectives: tuple[str, ...] = ()
    """Names of the objectives that this source rates; empty if the recipe names them."""
    other_files: tuple[tuple[str, ...], ...] = ()
    """Patterns of other layouts of the same rows, such as the authors' repository on GitHub; each is tried where the
    ones before match nothing."""
    rows: int | None = None
    """Raw rows of the official release in these files, by its card or paper; None where none states it."""
    licence: str | None = None
    """Licence by the official card; None if it names none. The card on the hub counts where it can be asked."""
    sparse: bool = False
    """Whether most raw rows give no record, so that some dozen may give none."""
    margins: bool = False
    """Whether its pairs may have a margin."""
