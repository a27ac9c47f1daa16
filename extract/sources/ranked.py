"""Ranked answers to one prompt, and the pair that is made of them.

A prompt gives one pair: its best answer against one of the others, drawn by the hash of the prompt. All pairs with the
best answer would repeat it, and a prompt with seven answers would count six times; the public binarised sets of
UltraFeedback draw one of the others too. The draw is the same on every machine and in every order of the rows.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from extract.records import PreferencePair, Prompt
from extract.sources.pairing import preference_pair
from extract.sources.source import BadRowError, mapping, nonempty_text, rating


def best_against_another(row: str, prompt: Prompt, answers: Sequence[Any], form: str = "") -> PreferencePair:
    """The pair of the best answer and of one that is ranked below it.

    Args:
        row: name of the row.
        prompt: what the answers answer.
        answers: objects {answer, rank}; rank 1 is the best. Answers of the same rank make no pair.
        form: name of the row's form.

    Returns:
        The pair; its margin is the number of ranks between the two.

    Raises:
        BadRowError: an answer has no rank or no text, or all have the same rank.
    """
    ranked: list[tuple[float, str]] = []
    for number, each in enumerate(answers):
        values = mapping(each, f"answers[{number}]")
        rank = rating(values.get("rank"), f"the rank of answers[{number}]")
        if rank is None:
            raise BadRowError(f"answers[{number}] has no rank")
        ranked.append((rank, nonempty_text(values.get("answer"), f"answers[{number}].answer")))
    best, chosen = min(ranked, key=lambda each: each[0])
    others = [(rank, text) for rank, text in ranked if rank > best]
    if not others:
        raise BadRowError("no answer is ranked below another")
    said = "\n".join(message.text for message in prompt)
    drawn = int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest(), "big")
    rank, rejected = others[drawn % len(others)]
    return preference_pair(row, prompt, chosen, rejected, rank - best, form)
