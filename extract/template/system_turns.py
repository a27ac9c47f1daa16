"""Fate of system turns in a chat template, found by trying it."""

from typing import Any

from extract.records import Message
from extract.template.endings import Ending
from extract.template.examples import CONVERSATION, QUESTION, SYSTEM
from extract.template.facts import SystemTurn
from extract.template.preludes import folds_system_turns
from extract.template.rendering import NotEncodableError, render

NO_PREFIX = "with one, the templated prompt is not a prefix of the templated conversation"


def fate_of_system_turns(tokenizer: Any, start: str, prompt: Ending, strip: bool) -> tuple[SystemTurn, str | None]:
    """Fate of a system turn, and the reason if the template refuses it.

    Args:
        tokenizer: has the chat template.
        start: the text that it writes before the first message of a conversation without a system turn.
        prompt: the text that it writes after the last turn of a prompt.
        strip: whether white space after the closing token is left off.
    """
    try:
        text, prompt_text = _with_system_turn(tokenizer)
        if not text.startswith(prompt.cut(prompt_text, strip)):
            return "refused", NO_PREFIX
    except NotEncodableError as reason:
        return "refused", str(reason)
    if SYSTEM not in text:
        return "lost", None
    if folds_system_turns(tokenizer.chat_template):
        return "folded", None
    before = text[: text.index(SYSTEM)]
    opened = start.removeprefix(tokenizer.bos_token or "")
    return ("folded" if opened.strip() and before.startswith(start) else "kept"), None


def takes_system_turns(tokenizer: Any) -> bool:
    """Whether the template writes the text of a system turn, and in the same place with and without a response."""
    try:
        text, prompt_text = _with_system_turn(tokenizer)
    except NotEncodableError:
        return False
    asked, question, _ = prompt_text.rpartition(QUESTION)
    return SYSTEM in text and text.startswith(asked + question)


def _with_system_turn(tokenizer: Any) -> tuple[str, str]:
    """A conversation with a system turn, and its prompt."""
    messages = (Message("system", SYSTEM), *CONVERSATION)
    return render(tokenizer, messages), render(tokenizer, messages[:-1])
