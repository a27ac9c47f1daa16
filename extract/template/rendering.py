"""Conversations as the texts that the chat template makes of them.

A chat template is a program by somebody else: it runs in a process of its own (`render_process.py`), with limits of
time, memory and output.
"""

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from cache.errors import cause, first_line
from extract.records import Prompt
from extract.template.renderer import renderer

REFUSED = "the chat template refuses it"
"""Beginning of a reason that the template gives, or a limit on what it may take."""


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
        NotEncodableError: the template raises, or takes too much of time, memory or room.
    """
    (text,) = render_each(tokenizer, [messages], generation=generation, **arguments)
    if isinstance(text, NotEncodableError):
        raise text
    return text


def render_each(
    tokenizer: Any, conversations: Sequence[Prompt], *, generation: bool = False, **arguments: Any
) -> list[str | NotEncodableError]:
    """As `render`, for many conversations at once, which takes less time; a reason stands in the place of its text."""
    variables = {"tools": None, "documents": None, "add_generation_prompt": generation}
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:  # it has none, or several without a default
        return [_refused(first_line(error)) for _ in conversations]
    results: list[str | NotEncodableError] = []
    asked: list[list[dict[str, Any]]] = []
    places: list[int] = []
    for number, messages in enumerate(conversations):
        try:
            asked.append(_as_dictionaries(messages))
        except Exception as error:  # a row's calls of tools may be anything
            results.append(_refused(cause(error)))
            continue
        places.append(number)
        results.append("")
    answers = renderer()(template, variables | tokenizer.special_tokens_map | arguments, asked)
    for number, (done, text) in zip(places, answers, strict=True):
        results[number] = text if done else _refused(text)
    return results


def _refused(reason: str) -> NotEncodableError:
    return NotEncodableError(f"{REFUSED}: {first_line(Exception(reason))}")


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
