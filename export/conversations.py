"""Conversations as callers give them, checked turn by turn."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from export.not_scorable import NotScorableError
from extract.records import Message, Prompt, Role

Conversation = Sequence[Message | Mapping[str, str]]
"""All turns, the last of them the assistant's: `Message`s, or dictionaries with `role` and `content`."""


def prompt_and_response(conversation: Any) -> tuple[Prompt, tuple[str, ...]]:
    """An unchecked conversation as the turns before the response, and the response.

    Raises:
        NotScorableError: it is not a list of turns, a turn is malformed, or the last is not the assistant's.
    """
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence) or not conversation:
        raise NotScorableError("it is not a list of turns")
    messages = tuple(_message(turn) for turn in conversation)
    if messages[-1].role != "assistant":
        raise NotScorableError("it does not end with an assistant turn")
    return messages[:-1], (messages[-1].content,)


def _message(turn: Any) -> Message:
    if isinstance(turn, Message):
        return turn
    if not isinstance(turn, Mapping) or not {"role", "content"} <= turn.keys():
        raise NotScorableError("a turn has no role or no content")
    role, content = turn["role"], turn["content"]
    if role not in get_args(Role):
        raise NotScorableError(f"a turn has the role {role!r}, not one of {', '.join(get_args(Role))}")
    if not isinstance(content, str):
        raise NotScorableError(f"the content of the {role} turn is not text")
    return Message(role, content)
