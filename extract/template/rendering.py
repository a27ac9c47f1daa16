"""One conversation as the text that the chat template makes of it."""

import json
from typing import Any

from cache.errors import first_line
from extract.records import Message, Prompt


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
            [_as_dictionary(message) for message in messages],
            tokenize=False,
            add_generation_prompt=generation,
            **arguments,
        )
    except Exception as error:
        raise NotEncodableError(f"the chat template refuses it: {first_line(error)}") from None
    assert isinstance(text, str)
    return text


def _as_dictionary(message: Message) -> dict[str, Any]:
    calls = {"tool_calls": json.loads(message.tool_calls)} if message.tool_calls else {}
    return {"role": message.role, "content": message.content, **calls}
