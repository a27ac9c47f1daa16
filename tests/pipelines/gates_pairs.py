"""Pairs that a model's gate judges right, and the same pairs as a user gives them who wants the opposite."""

import json
from pathlib import Path
from typing import Any

from export.reward_model import RewardModel

Row = dict[str, Any]
ANSWERS = ("One.", "A wise owl counts to ten.", "I would rather not say that.", "No, never: it jumps over lazy dogs.")


def talks(prompt: str, *answers: str) -> list[list[dict[str, str]]]:
    """Conversations of one turn, one for each answer."""
    return [[{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}] for answer in answers]


def gates_pairs(folder: Path) -> list[Row]:
    """Twelve pairs that the gate of an exported folder judges right."""
    model = RewardModel.load(folder, device="cpu")
    pairs = []
    for number in range(12):
        prompt = f"How many are {number} owls?"
        one, other = ANSWERS[number % 4], ANSWERS[(number + 1) % 4]
        first, second = model.score(talks(prompt, one, other))
        good, bad = (one, other) if first.score > second.score else (other, one)
        pairs.append({"prompt": prompt, "chosen": good, "rejected": bad})
    return pairs


def turned(pairs: list[Row]) -> list[Row]:
    """The pairs with the other response chosen."""
    return [pair | {"chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in pairs]


def as_lines(rows: list[Any]) -> str:
    """Rows as JSON lines; a text is a line as it is."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
