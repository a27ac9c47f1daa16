"""Helpers of the pair sources: valid pairs, their margin, and the forms in which people write a pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extract.records import PreferencePair, Prompt
from extract.sources.prompts import asked_in, behind_system
from extract.sources.shapes import other_shape
from extract.sources.source import BadRowError, RawRow, nonempty_text, rating
from extract.sources.spelt_turns import answered, spelling_of
from extract.sources.turns import is_sharegpt, split_conversation, turn, turns

SIDES = ("chosen", "rejected")

TEXTS, MESSAGES, SHAREGPT = "texts", "messages", "ShareGPT turns"
"""Ways to write what is said."""


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """Two responses to one prompt, and the form in which a row has them."""

    form: str
    """The columns that make the pair, and how they are written: 'prompt, chosen, rejected: texts'."""
    prompt: Prompt
    chosen: str
    rejected: str


def preference_pair(
    row: str, prompt: Prompt, chosen: str, rejected: str, margin: float | None = None, form: str = ""
) -> PreferencePair:
    """The pair; `BadRowError` if its responses have the same text, so that neither can be preferred."""
    if chosen.strip() == rejected.strip():
        raise BadRowError("chosen and rejected are the same text")
    return PreferencePair(row, prompt, chosen, rejected, margin, form)


def margin_of(chosen: Any, rejected: Any) -> float | None:
    """Score of the chosen response minus score of the rejected one; None if a score is missing.

    Raises `BadRowError` if the scores contradict the preference: such a pair is useless for training.
    """
    high, low = rating(chosen, "the score of chosen"), rating(rejected, "the score of rejected")
    if high is None or low is None:
        return None
    if high < low:
        raise BadRowError(f"the score of chosen, {high:g}, is below the score of rejected, {low:g}")
    return high - low


def written_pair(row: RawRow) -> WrittenPair:
    """The pair in the columns `chosen` and `rejected`, and in those that say what was asked.

    The two responses are both texts, or both turns: the whole conversation, or only what comes after the prompt. Turns
    are lists of messages, a single message, or spelt in a text. A text spells turns if the row has no prompt, or if the
    conversation repeats the prompt; any other text is a response as it stands, whatever it holds. The prompt may be
    missing if the responses are whole conversations.

    Raises:
        BadRowError: a column is missing or malformed, or chosen and rejected differ before their last turn.
    """
    good, bad = (_said(row, column) for column in SIDES)
    if isinstance(good, str) and isinstance(bad, str):
        return _pair_of_texts(row, good, bad)
    for column, said in zip(SIDES, (good, bad), strict=True):
        if isinstance(said, str):
            raise BadRowError(f"column '{column}' is not a non-empty list of messages")
    spelling = SHAREGPT if is_sharegpt(row.value("chosen")) else MESSAGES
    return _pair_of_turns(row, good, bad, spelling)  # type: ignore[arg-type]


def _said(row: RawRow, column: str) -> str | Prompt:
    value, what = row.value(column), f"column '{column}'"
    if isinstance(value, str):
        return nonempty_text(value, what)
    if isinstance(value, Mapping):
        return (turn(value, what),)
    return turns(value, what)


def _pair_of_texts(row: RawRow, good: str, bad: str) -> WrittenPair:
    spelling = spelling_of(good)
    asked = asked_in(row)
    if spelling is not None and spelling_of(bad) == spelling:
        texts = dict(zip(SIDES, (good, bad), strict=True))
        if asked is None or all(_repeats(asked[1], text) for text in texts.values()):
            talks = [answered(text, f"column '{column}'") or () for column, text in texts.items()]
            return _pair_of_turns(row, talks[0], talks[1], spelling)
    if asked is None:
        raise other_shape(row, "preference", "column 'prompt' is missing")
    columns, prompt = asked
    return WrittenPair(_form(columns, TEXTS), prompt, good, bad)


def _repeats(asked: Prompt, text: str) -> bool:
    """Whether a text that spells turns has the last turn of what was asked among them, or nothing but the answer."""
    question = asked[-1].content.strip()
    try:
        messages = answered(text, "") or ()
    except BadRowError:
        return question in text
    return messages[0].role == "assistant" or any(
        message.role == asked[-1].role and message.content.strip() == question for message in messages
    )


def _pair_of_turns(row: RawRow, good: Prompt, bad: Prompt, spelling: str) -> WrittenPair:
    columns: tuple[str, ...] = ()
    talks = []
    for column, messages in zip(SIDES, (good, bad), strict=True):
        if messages[0].role == "assistant":
            asked = asked_in(row)
            if asked is None:
                raise BadRowError(f"column '{column}' begins with the assistant, and no column says what was asked")
            columns, messages = asked[0], asked[1] + messages
        else:
            _check_begins(row, column, messages)
        talks.append(split_conversation(messages, f"column '{column}'"))
    (prompt, chosen), (other, rejected) = talks
    if prompt != other:
        raise BadRowError("chosen and rejected differ before their last turn")
    if not columns:
        columns, prompt = behind_system(row, prompt)
    return WrittenPair(_form(columns, spelling), prompt, chosen, rejected)


def _check_begins(row: RawRow, column: str, messages: Prompt) -> None:
    # A text in `prompt`, where the responses are whole conversations, is one of their turns or a title made of it.
    prompt = row.values.get("prompt")
    if isinstance(prompt, list | tuple) and prompt:
        asked = turns(prompt, "column 'prompt'")
        if messages[: len(asked)] != asked:
            raise BadRowError(f"column '{column}' does not begin with the turns of column 'prompt'")


def _form(columns: tuple[str, ...], spelling: str) -> str:
    return f"{', '.join((*columns, *SIDES))}: {spelling}"
