"""The records that a source yields: rated responses, preference pairs, suite items, and skipped rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
"""Roles of turns. `extract.template.roles` says which of them a chat template knows."""

ASKING: tuple[Role, ...] = ("user", "tool", "function")
"""Roles of the turn that a response follows: a question, or the result of a tool."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    tool_calls: str = ""
    """An assistant's calls of tools, as the JSON text of the list that chat templates take; empty for most turns."""

    @property
    def text(self) -> str:
        """The content, or the tool calls of a turn that is nothing else."""
        return self.content or self.tool_calls


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
    form: str = field(default="", compare=False)
    """The form in which the raw row was written, for sources that read several; a name for the summary."""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two responses to one prompt, the first preferred; `margin` (>= 0) is by how much, None if unknown."""

    row: str
    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None
    form: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SuiteItem:
    """A row of an evaluation suite: one prompt, its good and its bad responses, in the suite's order."""

    row: str
    subset: str
    prompt: Prompt
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    form: str = field(default="", compare=False)


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
