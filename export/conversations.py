"""Conversations as callers give them, read turn by turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from export.not_scorable import NotScorableError
from extract.records import Message, Prompt
from extract.sources.source import BadRowError
from extract.sources.turns import response_text, turn

Conversation = Sequence[Message | Mapping[str, Any]]
"""All turns, the last of them the assistant's: `Message`s, or dictionaries in the forms of `extract.sources.turns`."""


def prompt_and_response(conversation: Any) -> tuple[Prompt, tuple[str, ...]]:
    """An unchecked conversation as the turns before the response, and the response; texts may be empty.

    Raises:
        NotScorableError: it is not a list of turns, a turn is malformed, or the last is not the assistant's.
    """
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence) or not conversation:
        raise NotScorableError("it is not a list of turns")
    try:
        messages = tuple(
            each if isinstance(each, Message) else turn(each, f"turn {number}", empty=True)
            for number, each in enumerate(conversation)
        )
        if messages[-1].role != "assistant":
            raise NotScorableError("it does not end with an assistant turn")
        return messages[:-1], (response_text(messages[-1], "it"),)
    except BadRowError as reason:
        raise NotScorableError(str(reason)) from None
