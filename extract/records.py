"""The records that a source yields: rated responses, preference pairs, suite items, and skipped rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Prompt = tuple[Message, ...]
"""All turns before the response, in order; a conversation of several turns keeps its turns."""


@dataclass(frozen=True, slots=True)
class RatedResponse:
    """A response with its raw ratings, on the scale of the data set.

    `ratings` maps an objective's name to its raw value. It has no entry for a rating that is missing in
    the data (None, 'N/A', an empty string).
    """

    row: str
    prompt: Prompt
    response: str
    ratings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two responses to one prompt, the first preferred; `margin` (>= 0) is by how much, None if unknown."""

    row: str
    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class SuiteItem:
    """A row of an evaluation suite: one prompt, its good and its bad responses, in the suite's order."""

    row: str
    subset: str
    prompt: Prompt
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row, or one response or rating of a row, that cannot be used, and the reason.

    `subset` is the suite's subset that the row counts in, None if unknown.
    """

    row: str
    reason: str
    subset: str | None = None
    rating_only: bool = False
    """Whether only one rating is skipped, and the response is used with its other ratings."""


Record = RatedResponse | PreferencePair | SuiteItem


def texts_of(record: Record) -> tuple[Prompt, tuple[str, ...]]:
    """A record's prompt and its responses; of a pair or a suite's row the good ones come first."""
    if isinstance(record, RatedResponse):
        return record.prompt, (record.response,)
    if isinstance(record, PreferencePair):
        return record.prompt, (record.chosen, record.rejected)
    return record.prompt, (*record.chosen, *record.rejected)
