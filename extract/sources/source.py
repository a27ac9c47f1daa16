"""The description of a source: its files in their repository, and how one raw row becomes records."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from extract.records import Message, Prompt, RatedResponse, Record, Role, Skipped

MISSING_RATINGS = frozenset({"", "n/a", "na", "none", "null", "nan"})
"""Values of the public rating sets for a missing rating, in lower case."""

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

    def value(self, column: str) -> Any:
        """The value of a column that must exist."""
        if column not in self.values:
            raise BadRowError(f"column '{column}' is missing")
        return self.values[column]

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


def nonempty_text(value: Any, what: str) -> str:
    """`value`, which must be a string with more than white space; `what` names it in the error."""
    if not isinstance(value, str):
        raise BadRowError(f"{what} is {type(value).__name__}, expected text")
    if not value.strip():
        raise BadRowError(f"{what} is empty")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            # JSON can contain half of a surrogate pair; tokenizers raise on it, far from the row at fault.
            raise BadRowError(f"{what} holds half of a surrogate pair, which is not text") from None
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value`, which must be a JSON object; `what` names it in the error."""
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
    """A rating as a number: from int, float, bool or a numeric string; None if it is missing.

    Raises `BadRowError` for anything else. Whether the rating is on the scale is checked later, where the
    recipe's scale is known.
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
    elif isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            raise BadRowError(f"{what} is a number too large to be a rating") from None
    else:
        raise BadRowError(f"{what} is {type(value).__name__}, expected a number")
    return None if number != number else number


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


def user_prompt(text: str, system: str | None = None) -> Prompt:
    """A prompt of one user turn, after a system turn if one is given."""
    turns = (Message("system", system),) if system and system.strip() else ()
    return (*turns, Message("user", text))


def turns(value: Any, what: str) -> Prompt:
    """A list of {role, content} mappings as messages; `BadRowError` for any other role than the three known."""
    if not isinstance(value, list | tuple) or not value:
        raise BadRowError(f"{what} is not a non-empty list of messages")
    roles: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
    messages = []
    for number, turn in enumerate(value):
        if not isinstance(turn, Mapping):
            raise BadRowError(f"{what}[{number}] is not a message")
        role = roles.get(str(turn.get("role")))
        if role is None:
            known = "expected system, user or assistant"
            raise BadRowError(f"{what}[{number}] has the role {str(turn.get('role'))[:40]!r}, {known}")
        messages.append(Message(role, nonempty_text(turn.get("content"), f"{what}[{number}].content")))
    return tuple(messages)


def split_conversation(messages: Prompt, what: str) -> tuple[Prompt, str]:
    """A conversation as (prompt, response); `BadRowError` if it does not end with the assistant."""
    if len(messages) < 2 or messages[-1].role != "assistant":
        raise BadRowError(f"{what} does not end with an assistant turn after a prompt")
    return messages[:-1], messages[-1].content


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
    rows: int | None = None
    """Raw rows of the official release in these files, by its card or paper; None where none states it."""
    licence: str | None = None
    """Licence by the official card; None if it names none. The card on the hub counts where it can be asked."""
    sparse: bool = False
    """Whether most raw rows give no record, so that some dozen may give none."""
