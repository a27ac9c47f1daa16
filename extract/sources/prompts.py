"""The turns before a response, from the columns in which people write them."""

from collections.abc import Mapping
from typing import Any

from extract.records import Message, Prompt
from extract.sources.source import BadRowError, RawRow, nonempty_text
from extract.sources.spelt_turns import asking
from extract.sources.turns import turns

CONVERSATIONS = ("messages", "conversations", "conversation")
"""Columns that hold a list of turns, in the order in which they are looked for."""

PROMPTS = ("prompt", "question", "instruction", "input")
"""Columns that hold what is asked, in the order in which they are looked for."""

PROMPT_COLUMNS = (*PROMPTS, "system", "history")
"""Every column that `asked_in` reads beside `CONVERSATIONS`."""


def user_prompt(text: str, system: str | None = None) -> Prompt:
    """A prompt of one user turn, after a system turn if one is given; or the turns that the text spells.

    Raises:
        BadRowError: the text spells a conversation that cannot be read as one, or with a system turn of its own.
    """
    spelt = asking(text, "the prompt")
    return _behind(system, (), (Message("user", text),) if spelt is None else spelt)


def prompt_of(value: Any, what: str) -> Prompt:
    """A prompt that is a text, or a list of turns; `BadRowError` if it is neither."""
    if isinstance(value, list | tuple):
        return turns(value, what)
    return user_prompt(nonempty_text(value, what))


def asked_in(row: RawRow) -> tuple[tuple[str, ...], Prompt] | None:
    """The columns of a row that say what is asked, and the turns; None if no column does.

    The first of `PROMPTS` that is there counts, else the first of `CONVERSATIONS` that does not end with the assistant.
    `instruction` has `input` behind it after a line break, as in Alpaca's rows. `system` comes first, then the turns of
    `history`, a list of [question, answer].

    Raises:
        BadRowError: a column that is there holds neither text nor turns.
    """
    found = _question(row)
    if found is None:
        return None
    columns, prompt = found
    system = _system(row)
    earlier = _history(row.values.get("history"))
    columns += [name for name, there in (("system", system), ("history", earlier)) if there]
    return tuple(columns), _behind(system, earlier, prompt)


def behind_system(row: RawRow, prompt: Prompt) -> tuple[tuple[str, ...], Prompt]:
    """The turns of a whole conversation behind those of column `system`, and that column's name if it is used."""
    system = _system(row)
    if system is None or prompt[0] == Message("system", system):
        return (), prompt
    return ("system",), _behind(system, (), prompt)


def _system(row: RawRow) -> str | None:
    system = row.values.get("system")
    return nonempty_text(system, "column 'system'") if isinstance(system, str) and system.strip() else None


def _question(row: RawRow) -> tuple[list[str], Prompt] | None:
    for column in PROMPTS:
        value = row.values.get(column)
        if value is None:
            continue
        what, more = f"column '{column}'", row.values.get("input")
        if column == "instruction" and isinstance(value, str) and isinstance(more, str) and more.strip():
            return [column, "input"], prompt_of(f"{nonempty_text(value, what)}\n{more}", what)
        return [column], prompt_of(value, what)
    for column in CONVERSATIONS:
        value = row.values.get(column)
        if isinstance(value, list | tuple) and value:
            messages = turns(value, f"column '{column}'")
            if messages[-1].role != "assistant":
                return [column], messages
    return None


def _behind(system: str | None, earlier: Prompt, prompt: Prompt) -> Prompt:
    """The prompt behind earlier turns, all of them behind a system turn."""
    if system is None or not system.strip():
        first, rest = (prompt[:1], prompt[1:]) if prompt[0].role == "system" else ((), prompt)
        return (*first, *earlier, *rest)
    if prompt[0].role == "system":
        raise BadRowError("the prompt has a system turn of its own beside column 'system'")
    return (Message("system", system), *earlier, *prompt)


def _history(value: Any) -> Prompt:
    """Alpaca's history, a list of [question, answer]. A text of that name is another set's whole prompt."""
    if value is None or isinstance(value, str | Mapping) or not value:
        return ()
    messages: list[Message] = []
    for number, said in enumerate(value):
        if not isinstance(said, list | tuple) or len(said) != 2:
            raise BadRowError(f"column 'history'[{number}] is not a question and its answer")
        question, answer = (nonempty_text(text, f"column 'history'[{number}]") for text in said)
        messages += (Message("user", question), Message("assistant", answer))
    return tuple(messages)
