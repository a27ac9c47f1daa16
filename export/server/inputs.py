"""Inputs common to all protocols: conversations, templated texts, and token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, Field

from export.server.refusals import RefusedRequest
from extract import records

MOST_ITEMS = 65_536
"""Largest length of any list in a request, and of the limit that `--responses` sets."""

MOST_TURNS = 4096
"""Largest number of turns of a conversation in a request; templates write four tokens a turn and more."""

MOST_TOKENS = 2**20
"""Largest number of token ids of a conversation in a request; models take fewer."""


def _at_most(most: int, name: str) -> BeforeValidator:
    """Refuses a longer list before its items are looked at, which takes a server far longer than counting them."""

    def check(given: object) -> object:
        if isinstance(given, list) and len(given) > most:
            raise ValueError(f"{len(given):,} {name}, more than the {most:,} that it may have")
        return given

    return BeforeValidator(check)


Item = TypeVar("Item")

Many = Annotated[list[Item], Field(fail_fast=True, max_length=MOST_ITEMS), _at_most(MOST_ITEMS, "items")]
"""A list in a request. Validation ends at the first wrong item: a body has room for millions of them."""

TokenRow = Annotated[list[int], Field(fail_fast=True, max_length=MOST_TOKENS), _at_most(MOST_TOKENS, "token ids")]
"""One conversation's token ids."""


class Message(BaseModel):
    """One turn."""

    role: records.Role
    content: str


Turns = Annotated[list[Message], Field(fail_fast=True, max_length=MOST_TURNS), _at_most(MOST_TURNS, "turns")]
"""A conversation, turn by turn."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns before the response, and the response."""

    prompt: records.Prompt
    response: str


@dataclass(frozen=True, slots=True)
class Templated:
    """A whole conversation as the chat template writes it, with its special tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenIds:
    """A whole conversation, templated and tokenised."""

    ids: tuple[int, ...]


Input = Conversation | Templated | TokenIds


Whole = str | Many[str] | TokenRow | Many[TokenRow]
"""One or many whole conversations in a request: texts with their special tokens, or token ids."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The reason why an input has no score."""

    sentence: str
    status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
    own: bool = True
    """Whether the reason is the input's own, and no fault of the model or the machine."""


def user_turn(text: str) -> records.Prompt:
    """A prompt of one user turn."""
    return (records.Message("user", text),)


def as_prompt(messages: Sequence[Message]) -> records.Prompt:
    """The turns before a response."""
    return tuple(records.Message(message.role, message.content) for message in messages)


def is_one(given: Whole) -> bool:
    """Whether a request holds one whole conversation, not a list of them."""
    return isinstance(given, str) or isinstance(given[0], int)


def whole(given: Whole) -> list[Input]:
    """The whole conversations of a request, which is not an empty list."""
    each_given = [given] if is_one(given) else given
    return [Templated(each) if isinstance(each, str) else TokenIds(tuple(each)) for each in each_given]  # type: ignore[arg-type]


def conversation(messages: Sequence[Message], name: str = "messages") -> Conversation:
    """Turns as prompt and response; `name` is their key in the request.

    Raises:
        RefusedRequest: the last turn is not the assistant's.
    """
    if not messages or messages[-1].role != "assistant":
        raise RefusedRequest(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: the last turn must be the assistant's, which is what is scored"
        )
    return Conversation(as_prompt(messages[:-1]), messages[-1].content)
