"""One conversation as the text that the chat template makes of it."""

import json
from collections import deque
from typing import Any

from cache.errors import first_line
from extract.records import Prompt


class NotEncodableError(Exception):
    """The conversation cannot be turned into tokens; the message is the reason for skipping it."""


def render(tokenizer: Any, messages: Prompt, *, generation: bool = False, **arguments: Any) -> str:
    """The templated text, without the tokenizer's own BOS.

    Args:
        tokenizer: has the chat template.
        messages: the turns.
        generation: whether the header of the next response is asked for.
        arguments: passed to the template.

    Raises:
        NotEncodableError: the template raises. It is a program by somebody else, so any exception counts.
    """
    try:
        text = tokenizer.apply_chat_template(
            _as_dictionaries(messages),
            tokenize=False,
            add_generation_prompt=generation,
            **arguments,
        )
    except Exception as error:
        raise NotEncodableError(f"the chat template refuses it: {first_line(error)}") from None
    assert isinstance(text, str)
    return text


def _as_dictionaries(messages: Prompt) -> list[dict[str, Any]]:
    """Messages as templates take them.

    Some templates refuse a call of a tool without an id, of nine characters, and a result without its call's id and
    name. Rows name neither alike, so calls are numbered, and results belong to them in order.
    """
    listed: list[dict[str, Any]] = []
    number = 0
    waiting: deque[dict[str, Any]] = deque()
    for message in messages:
        given: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            given["tool_calls"] = json.loads(message.tool_calls)
            for call in given["tool_calls"]:
                number += 1
                call["id"] = f"call{number:05d}"
                waiting.append(call)
        elif message.role in ("tool", "function") and waiting:
            call = waiting.popleft()
            given |= {"tool_call_id": call["id"], "name": call["function"]["name"]}
        listed.append(given)
    return listed
