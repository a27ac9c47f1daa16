"""The roles beside system, user and assistant that a chat template knows, found by trying it.

Many templates write the name of any role into a turn's header. That is no knowledge: the model never saw such a header
in training. A template knows a role if it writes the turn whole, and otherwise than it writes the turn of a role that
nobody has.
"""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

from extract.records import Message, Prompt, Role
from extract.template.endings import Ending
from extract.template.preludes import folds_system_turns
from extract.template.rendering import NotEncodableError, render

NOBODY = cast(Role, "narrator")

ASKED = Message("user", "How warm is it in Oslo?")
LOOKING = Message("assistant", "Let me see.")
CALL_NAME, CALL_ARGUMENT = "read_thermometer", "Oslo-Blindern"
CALLING = Message(
    "assistant",
    "",
    f'[{{"type": "function", "function": {{"name": "{CALL_NAME}", "arguments": {{"place": "{CALL_ARGUMENT}"}}}}}}]',
)
FOUND = Message("tool", "It reads 21 degrees.")
TOLD = Message("assistant", "It is mild.")
RULE = Message("developer", "Reply in plain words.")
"""Texts without the name of a role, in which a template could hide a header."""

STANDS_FOR: dict[Role, Role] = {"developer": "system", "function": "tool"}
"""Role -> the one that takes its turns in a template that does not know it: OpenAI's newer name for system, and its
older name for tool."""


def known_roles(tokenizer: Any, prompt: Ending, strip: bool) -> tuple[Role, ...]:
    """The roles among developer, tool and function that a tokenizer's chat template knows.

    Args:
        tokenizer: has the chat template.
        prompt: the text that it writes after the last turn of a prompt.
        strip: whether white space after the closing token is left off.
    """
    tries: dict[Role, tuple[Prompt, ...]] = {
        "developer": ((RULE, ASKED),),
        "tool": ((ASKED, LOOKING, FOUND), (ASKED, CALLING, FOUND)),
        "function": ((ASKED, LOOKING, replace(FOUND, role="function")),),
    }
    if folds_system_turns(tokenizer.chat_template):  # a developer's turn is folded as the system's
        del tries["developer"]
    return tuple(
        role
        for role, prompts in tries.items()
        if any(_knows(tokenizer, role, messages, prompt, strip) for messages in prompts)
    )


def writes_tool_calls(tokenizer: Any, prompt: Ending, strip: bool) -> bool:
    """Whether the template writes the name and the arguments of a call of a tool, and goes on after its result."""
    text = _whole(tokenizer, (ASKED, CALLING, FOUND), prompt, strip)
    return text is not None and CALL_NAME in text and CALL_ARGUMENT in text


def in_known_roles(messages: Prompt, known: Collection[Role], tool_calls: bool) -> Prompt:
    """The messages with the roles that a template knows.

    Args:
        messages: turns of any role.
        known: roles that it knows, beside system, user and assistant.
        tool_calls: whether it writes calls of tools.

    Raises:
        NotEncodableError: it knows a role neither itself nor by another name, or would lose a call of a tool.
    """
    turned = []
    for message in messages:
        if message.tool_calls and not tool_calls:
            raise NotEncodableError("the chat template does not write calls of tools")
        role = message.role
        if role not in ("system", "user", "assistant", *known):
            other = STANDS_FOR.get(role)
            if other not in ("system", *known):
                raise NotEncodableError(f"the chat template does not know the role '{role}'")
            message = replace(message, role=other)
        turned.append(message)
    return tuple(turned)


def _knows(tokenizer: Any, role: Role, messages: Prompt, prompt: Ending, strip: bool) -> bool:
    text = _whole(tokenizer, messages, prompt, strip)
    if text is None or not all(message.content in text for message in messages):
        return False
    others = tuple(replace(message, role=NOBODY) if message.role == role else message for message in messages)
    try:
        other = render(tokenizer, (*others, TOLD))
    except NotEncodableError:
        return True
    names = re.compile(f"{role}|{NOBODY}", re.IGNORECASE)
    return names.sub("", text) != names.sub("", other)


def _whole(tokenizer: Any, messages: Prompt, prompt: Ending, strip: bool) -> str | None:
    """The text of a conversation; None if the template refuses it, or its prompt is not a prefix of it."""
    try:
        text = render(tokenizer, (*messages, TOLD))
        return text if text.startswith(prompt.cut(render(tokenizer, messages), strip)) else None
    except NotEncodableError:
        return None
