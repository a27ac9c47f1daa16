"""Conversations with the lengths of the eight rating sets of the published recipe."""

from typing import Any

import numpy as np

from extract.records import Message, Prompt

MIX = (
    ("ultrafeedback", 64, 4, 185, 305),
    ("helpsteer", 10, 4, 250, 170),
    ("beavertails", 16, 19, 16, 75),
    ("prometheus", 20, 5, 220, 330),
    ("code_ultrafeedback", 10, 4, 150, 450),
    ("capybara", 7, 2, 600, 400),
    ("openorca", 12, 2, 300, 200),
    ("math_preference", 2, 2, 80, 300),
)
"""Data set, prompts in the mix, responses per prompt, mean tokens of a prompt, mean tokens of a response."""

LONGEST = 3500
"""Largest number of tokens of a prompt or of a response."""

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "for",
    "was",
    "on",
    "are",
    "as",
    "with",
    "they",
    "be",
    "at",
    "one",
    "have",
    "this",
    "from",
    "or",
    "had",
    "by",
    "word",
]
"""Words of one token in most vocabularies, so that a text has about as many tokens as words."""


def mixed_conversations(times: float, seed: int = 0) -> list[tuple[Prompt, tuple[str, ...]]]:
    """Prompts with their responses in the proportions of the mix, `times` as many, in random order."""
    rng = np.random.default_rng(seed)

    def text(mean: int) -> str:
        length = int(rng.lognormal(0, 0.7) * mean / 1.28)  # 1.28: the mean of that distribution
        return " ".join(rng.choice(np.array(WORDS), np.clip(length, 4, LONGEST)))

    made: list[Any] = [
        ((Message("user", text(prompt)),), tuple(text(response) for _ in range(responses)))
        for _, prompts, responses, prompt, response in MIX
        for _ in range(max(1, round(prompts * times)))
    ]
    return [made[number] for number in rng.permutation(len(made))]
