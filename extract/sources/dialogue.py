r"""Anthropic's dialogues in one text: '\n\nHuman: ...\n\nAssistant: ...\n\nHuman: ...\n\nAssistant: ...'."""

import re

from extract.records import Message, Prompt, Role
from extract.sources.source import BadRowError, nonempty_text

SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def dialogue(text: str, what: str) -> Prompt:
    """The turns of a dialogue, which goes from a turn of Human to one of Assistant.

    White space around a turn is dropped. Two turns of a speaker in a row become one, with a blank line between, since
    chat templates require speakers to alternate.

    Args:
        text: the whole dialogue.
        what: names it in the reason.

    Raises:
        BadRowError: it does not begin with a speaker, has no turn of the one or the other, or a turn is empty.
    """
    messages = _joined(text, what)
    if messages[0].role != "user" or messages[-1].role != "assistant":
        raise BadRowError(f"{what} does not go from a turn of Human to one of Assistant")
    return _checked(messages, what)


def asking_dialogue(text: str, what: str) -> Prompt:
    """The turns of a dialogue that a response is to follow: the last is Human's, or an empty one of Assistant.

    Raises:
        BadRowError: as `dialogue`, and where it ends with what Assistant has said.
    """
    messages = _joined(text, what)
    if messages[-1].role == "assistant" and not messages[-1].content:
        messages = messages[:-1]
    if not messages or messages[0].role != "user" or messages[-1].role != "user":
        raise BadRowError(f"{what} does not go from a turn of Human to one of Human, or to an open one of Assistant")
    return _checked(messages, what)


def _joined(text: str, what: str) -> Prompt:
    start, *parts = SPEAKER.split(text)
    if start.strip() or not parts:
        raise BadRowError(f"{what} does not start with 'Human:' or 'Assistant:'")
    messages: list[Message] = []
    for speaker, said in zip(parts[::2], parts[1::2], strict=True):
        role, content = ROLES[speaker], said.strip()
        if messages and messages[-1].role == role:
            messages[-1] = Message(role, f"{messages[-1].content}\n\n{content}".strip())
        else:
            messages.append(Message(role, content))
    return tuple(messages)


def _checked(messages: Prompt, what: str) -> Prompt:
    for number, message in enumerate(messages):
        nonempty_text(message.content, f"turn {number} of {what}")
    return messages
