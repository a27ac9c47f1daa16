"""Conversations as the texts that the chat template makes of them.

A chat template is a program by somebody else: it runs in a process of its own (`render_process.py`), with limits of
time, memory and output.
"""

from collections.abc import Sequence
from typing import Any

from cache.errors import first_line
from extract.records import Prompt
from extract.template.renderer import renderer


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
    answers = renderer()(
        template,
        variables | tokenizer.special_tokens_map | arguments,
        [[{"role": message.role, "content": message.content} for message in turns] for turns in conversations],
    )
    return [text if done else _refused(text) for done, text in answers]


def _refused(reason: str) -> NotEncodableError:
    return NotEncodableError(f"the chat template refuses it: {first_line(Exception(reason))}")
