"""Helpers of the pair sources: valid pairs, their margin, and the ways a pair is written as messages."""

from typing import Any

from extract.records import PreferencePair, Prompt
from extract.sources.source import (
    BadRowError,
    RawRow,
    nonempty_text,
    rating,
    split_conversation,
    turns,
    user_prompt,
)


def preference_pair(
    row: str, prompt: Prompt, chosen: str, rejected: str, margin: float | None = None
) -> PreferencePair:
    """The pair; `BadRowError` if its responses have the same text, so that neither can be preferred."""
    if chosen.strip() == rejected.strip():
        raise BadRowError("chosen and rejected are the same text")
    return PreferencePair(row, prompt, chosen, rejected, margin)


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


def pair_of_messages(row: RawRow) -> tuple[Prompt, str, str]:
    """(prompt, chosen, rejected) from the columns `prompt`, `chosen` and `rejected`.

    The two responses are both texts, or both lists of messages: the whole conversation, or only what
    comes after `prompt`. `prompt` is a text or a list of messages, and may be missing if the responses
    are whole conversations. Raises `BadRowError` if chosen and rejected differ before their last turn.
    """
    chosen, rejected = row.value("chosen"), row.value("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        responses = nonempty_text(chosen, "column 'chosen'"), nonempty_text(rejected, "column 'rejected'")
        return prompt_of(row), *responses
    prompt, good = split_conversation(_conversation(row, "chosen"), "column 'chosen'")
    other, bad = split_conversation(_conversation(row, "rejected"), "column 'rejected'")
    if prompt != other:
        raise BadRowError("chosen and rejected differ before their last turn")
    return prompt, good, bad


def prompt_of(row: RawRow) -> Prompt:
    """The column `prompt`, a text or a list of messages."""
    prompt = row.value("prompt")
    if isinstance(prompt, list | tuple):
        return turns(prompt, "column 'prompt'")
    return user_prompt(nonempty_text(prompt, "column 'prompt'"))


def _conversation(row: RawRow, column: str) -> Prompt:
    """A column of messages as a whole conversation, with the turns of `prompt` in front if it lacks them."""
    messages = turns(row.value(column), f"column '{column}'")
    if messages[0].role == "assistant":
        return prompt_of(row) + messages
    prompt = row.values.get("prompt")
    if isinstance(prompt, list | tuple) and prompt:
        asked = turns(prompt, "column 'prompt'")
        if messages[: len(asked)] != asked:
            raise BadRowError(f"column '{column}' does not begin with the turns of column 'prompt'")
    # A text in `prompt`, where the responses are whole conversations, is one of their turns or a title made of it.
    return messages
