r"""Turns that are spelt inside a text: which texts hold a conversation, and its turns.

Three spellings are in use. Anthropic's dialogues have '\n\nHuman:' and '\n\nAssistant:'. HelpSteer2 and NeMo write
'<extra_id_1>User' and '<extra_id_1>Assistant' on lines of their own, '<extra_id_0>System' before them, and HelpSteer2
leaves the first marker out. Exports to CSV hold a list of messages as JSON, or as Python writes it.

A text holds a conversation if it is one from its first character to its last. A marker inside a sentence, a question
about such a text, or a list with text after it is what a person wrote. Where the spelling is plain and the turns are
not (two of a speaker in a row, a list that is cut off), the row is skipped: its text is nobody's message. So is a row
whose text begins with the marks of a chat template (ChatML's, Llama's, Gemma's, Mistral's): it is of another model.
"""

import ast
import json
import re
import warnings
from typing import Any, Literal

from extract.records import ASKING, Message, Prompt, Role
from extract.sources.dialogue import SPEAKER, asking_dialogue, dialogue
from extract.sources.source import BadRowError
from extract.sources.turns import ROLES, response_text, spells_turns, turn, turns

Spelling = Literal[
    "'\\n\\nHuman:' in a text", "'<extra_id_1>' in a text", "JSON in a text", "marks of a chat template in a text"
]

HUMAN: Spelling = "'\\n\\nHuman:' in a text"
EXTRA_ID: Spelling = "'<extra_id_1>' in a text"
JSON: Spelling = "JSON in a text"
TEMPLATED: Spelling = "marks of a chat template in a text"

FIRST_SPEAKER = re.compile(r"\A(\s*)(Human|Assistant):")
SPEAKER_LINE = re.compile(r"^(Human|Assistant):", re.MULTILINE)
OPEN_END = re.compile(r"\n\nAssistant:\s*\Z")
MARKER = re.compile(r"(?:\A\s*|\n)<extra_id_([01])>(System|User|Assistant)[ \t]*(?:\n|\Z)")
OTHER_MARKER = re.compile(r"^<extra_id_\d+>", re.MULTILINE)
MARKED_ROLES: dict[tuple[str, str], Role] = {
    ("0", "System"): "system",
    ("1", "User"): "user",
    ("1", "Assistant"): "assistant",
}
TEMPLATE_START = re.compile(
    r"\A\s*(?:<s>\s*|<bos>\s*)?(?:<\|im_start\|>|<\|begin_of_text\|>|<\|start_header_id\|>|<start_of_turn>|\[INST\])"
)
MESSAGE_START = re.compile(r"""\A\s*\[?\s*\{\s*(['"])(?:role|from|content|value|tool_calls)\1\s*:""")
SPEAKER_KEY = re.compile(rf"""(['"])(?:role|from)\1\s*:\s*(['"])(?:{"|".join(ROLES)})\2""")


def spelling_of(text: str) -> Spelling | None:
    """The spelling of the conversation that a text holds; None for a text that a person wrote."""
    if _is_dialogue(text):
        return HUMAN
    if "<extra_id_" in text and MARKER.search(text):
        return EXTRA_ID
    if TEMPLATE_START.match(text):
        return TEMPLATED
    if MESSAGE_START.match(text) and _messages(text) is not None:
        return JSON
    return None


def asking(text: str, what: str) -> Prompt | None:
    """The turns before a response that a text spells; None if the text is a person's.

    Args:
        text: the text.
        what: names it in the reason.

    Raises:
        BadRowError: it spells a conversation that cannot be read, or that does not ask for a response.
    """
    return _read(text, what, whole=False)


def answered(text: str, what: str) -> Prompt | None:
    """The turns of a conversation with its response that a text spells; None if the text is a person's.

    Raises:
        BadRowError: it spells a conversation that cannot be read, or that does not end with the assistant.
    """
    return _read(text, what, whole=True)


def spelt_response(text: str) -> str | None:
    """The response of a text that is a list of one turn of the assistant, as JSON; None for any other text."""
    found = _messages(text) if MESSAGE_START.match(text) else None
    if not found or len(found) != 1:
        return None
    message = turn(found[0], "the response")
    return response_text(message, "the response") if message.role == "assistant" else None


def _read(text: str, what: str, *, whole: bool) -> Prompt | None:
    spelling = spelling_of(text)
    if spelling is None:
        return None
    try:
        if spelling == HUMAN:
            messages = _dialogue(text, what, whole=whole)
        elif spelling == EXTRA_ID:
            messages = _marked(text, what)
        elif spelling == TEMPLATED:
            raise BadRowError(f"{what} is templated for another model, and the turns before that are wanted")
        else:
            found = _messages(text)
            if not found:
                raise BadRowError(f"{what} is cut off, or no JSON")
            messages = turns(found, what)
        last = messages[-1].role if messages else None
        if whole and last != "assistant":
            raise BadRowError(f"{what} does not end with an assistant turn")
        if not whole and last not in ASKING:
            raise BadRowError(f"{what} does not end with a turn that asks for a response")
    except BadRowError as reason:
        raise BadRowError(f"it spells a conversation ({spelling}), which cannot be read: {reason}") from None
    return messages


def _is_dialogue(text: str) -> bool:
    first = FIRST_SPEAKER.match(text)
    if first is None:
        # Text before the first speaker may be a system prompt, or the question of somebody who quotes a dialogue.
        return OPEN_END.search(text) is not None and "\n\nHuman:" in text
    if first[1].startswith("\n\n"):
        return True
    other = {"Human": "Assistant", "Assistant": "Human"}[first[2]]
    return any(found[1] == other for found in SPEAKER_LINE.finditer(text))


def _dialogue(text: str, what: str, *, whole: bool) -> Prompt:
    messages = dialogue(text, what) if whole else asking_dialogue(text, what)
    if len(SPEAKER_LINE.findall(text)) != len(SPEAKER.findall(text)):
        raise BadRowError(f"{what} has a speaker on a line that no blank line precedes")
    return messages


def _marked(text: str, what: str) -> Prompt:
    start, *parts = MARKER.split(text)
    messages = [Message("user", start.strip())] if start.strip() else []
    for number, speaker, said in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        role = MARKED_ROLES.get((number, speaker))
        if role is None:
            raise BadRowError(f"{what} has the marker '<extra_id_{number}>{speaker}'")
        messages.append(Message(role, said.strip()))
    if messages[0].role == "system" and not messages[0].content:
        del messages[0]  # NeMo writes an empty system turn where there is none
    if len(messages) > 1 and messages[-1].role == "assistant" and not messages[-1].content:
        del messages[-1]  # the header of the response that is asked for
    spoken = [message.role for message in messages if message.role != "system"]
    if spoken != ["user", "assistant"] * (len(spoken) // 2) + ["user"] * (len(spoken) % 2):
        raise BadRowError(f"the turns of {what} are not of user and assistant in turn")
    if any(message.role == "system" for message in messages[1:]):
        raise BadRowError(f"{what} has a system turn after another turn")
    for place, message in enumerate(messages):
        if not message.content:
            raise BadRowError(f"turn {place} of {what} is empty")
        if OTHER_MARKER.search(message.content):
            raise BadRowError(f"turn {place} of {what} holds another marker that begins with '<extra_id_'")
    return tuple(messages)


def _messages(text: str) -> Any:
    """The list that a text is; an empty one if it is cut off or malformed; None if the text is no list of messages."""
    stripped = text.strip()
    try:
        value, end = json.JSONDecoder().raw_decode(stripped)
    except (ValueError, RecursionError):
        value, end = _python_literal(stripped), len(stripped)
        if value is None:
            return [] if SPEAKER_KEY.search(stripped) else None
    listed = [value] if isinstance(value, dict) else value
    return listed if end == len(stripped) and spells_turns(listed) else None


def _python_literal(text: str) -> Any:
    """A list as Python writes it, which is what pandas puts into a CSV file; None if it is none. Nothing is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a backslash in a text that only looks like Python
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
