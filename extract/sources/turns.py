"""Lists of turns, as people write them.

OpenAI's {role, content}, ShareGPT's {from, value}, and mixtures of the two. Content is a text, or a list of parts
that are all text. A turn that calls tools may have no content.
"""

import json
from collections.abc import Mapping
from typing import Any

from extract.records import Message, Prompt, Role
from extract.sources.source import BadRowError, any_text, nonempty_text, quoted

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai"), "assistant"),
    **dict.fromkeys(("tool", "observation", "function_response"), "tool"),
    "function": "function",
}
"""Name of a speaker, in lower case -> role: OpenAI's names, ShareGPT's, LLaMA-Factory's, OpenAssistant's."""

FUNCTION_CALL = "function_call"
"""ShareGPT's name for a turn of the assistant whose value is a call, in JSON."""

TEXT_PARTS = ("text", "input_text", "output_text")
"""Types of content parts that are text, in OpenAI's two programming interfaces."""


def turns(value: Any, what: str, *, empty: bool = False) -> Prompt:
    """A list of turns as messages.

    Args:
        value: what a row holds.
        what: names it in the reason.
        empty: whether a content may be empty.

    Raises:
        BadRowError: it is no list of turns, a role is unknown, or a content is not text.
    """
    if not isinstance(value, list | tuple) or not value:
        raise BadRowError(f"{what} is not a non-empty list of messages")
    return tuple(turn(each, f"{what}[{number}]", empty=empty) for number, each in enumerate(value))


def turn(value: Any, what: str, *, empty: bool = False) -> Message:
    """One turn; raises as `turns` does."""
    if not isinstance(value, Mapping):
        raise BadRowError(f"{what} is not a message")
    speaker, content = _first(value, ("role", "from")), _first(value, ("content", "value"))
    if speaker is None:
        raise BadRowError(f"{what} has neither 'role' nor 'from'; it has {quoted(value) or 'nothing'}")
    name = str(speaker).strip().lower()
    if name == FUNCTION_CALL:
        return Message("assistant", "", _calls(_from_json(content, f"{what}.value"), what))
    role = ROLES.get(name)
    if role is None:
        raise BadRowError(f"{what} has the role {str(speaker)[:40]!r}, expected system, user or assistant")
    calls = ""
    if role == "assistant":
        # A null function_call beside the content is what many exports write.
        called = _first(value, ("tool_calls", FUNCTION_CALL))
        calls = _calls(called, what) if called else ""
    if calls and not content:
        return Message(role, "", calls)
    return Message(role, _text(content, f"{what}.content", empty), calls)


def spells_turns(value: Any) -> bool:
    """Whether a value is a list of objects that each have a speaker, one of them a known one, and something said."""
    if not isinstance(value, list | tuple) or not all(_looks_like_turn(each) for each in value):
        return False
    return any(str(_first(each, ("role", "from"))).strip().lower() in (*ROLES, FUNCTION_CALL) for each in value)


def is_sharegpt(value: Any) -> bool:
    """Whether turns, or one turn, are written with from and value."""
    one = value[0] if isinstance(value, list | tuple) and value else value
    return isinstance(one, Mapping) and one.get("role") is None and one.get("from") is not None


def split_conversation(messages: Prompt, what: str) -> tuple[Prompt, str]:
    """A conversation as (prompt, response); `BadRowError` if it does not end with the assistant."""
    if len(messages) < 2 or messages[-1].role != "assistant":
        raise BadRowError(f"{what} does not end with an assistant turn after a prompt")
    return messages[:-1], response_text(messages[-1], what)


def response_text(message: Message, what: str) -> str:
    """The text of a response; `BadRowError` if it calls tools, since a response is scored as text."""
    if message.tool_calls:
        raise BadRowError(f"{what} ends with a call of tools, and only a text can be the response")
    return message.content


def _looks_like_turn(value: Any) -> bool:
    if not isinstance(value, Mapping) or _first(value, ("role", "from")) is None:
        return False
    return any(key in value for key in ("content", "value", "tool_calls", FUNCTION_CALL))


def _first(value: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """The first value that is not null: tables of mixed rows have both spellings as columns."""
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _text(content: Any, what: str, empty: bool) -> str:
    if not isinstance(content, list | tuple):
        return any_text(content, what, empty=empty)
    texts = []
    for number, part in enumerate(content):
        if isinstance(part, Mapping):
            kind = part.get("type")
            if kind not in TEXT_PARTS:
                raise BadRowError(f"{what}[{number}] is a part of the type {str(kind)[:40]!r}, and only text is read")
            part = part.get("text")
        if not isinstance(part, str):
            raise BadRowError(f"{what}[{number}] is {type(part).__name__}, expected text")
        texts.append(part)
    return any_text("\n".join(texts), what, empty=empty)


def _calls(value: Any, what: str) -> str:
    """Calls of tools in the form that chat templates take, as JSON: a list of {type, function: {name, arguments}}."""
    calls = []
    for each in value if isinstance(value, list | tuple) else [value]:
        called = each.get("function") or each if isinstance(each, Mapping) else None
        if not isinstance(called, Mapping) or not isinstance(called.get("name"), str):
            raise BadRowError(f"{what} has a call of a tool without its name")
        arguments = called.get("arguments")
        if isinstance(arguments, str) and arguments.strip():
            # OpenAI writes arguments as JSON in a text; templates take the object.
            arguments = _from_json(arguments, f"{what}: the text of the arguments of {called['name'][:40]!r}")
        given = {} if arguments in (None, "") else arguments
        calls.append({"type": "function", "function": {"name": called["name"], "arguments": given}})
    text = json.dumps(calls, ensure_ascii=False, default=str)
    return nonempty_text(text, f"{what}: the calls of tools")


def _from_json(text: Any, what: str) -> Any:
    try:
        return json.loads(nonempty_text(text, what))
    except (ValueError, RecursionError):
        raise BadRowError(f"{what} is not JSON") from None
