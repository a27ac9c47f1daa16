"""Weak preferences for pretraining: a real answer and one that is obviously worse."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint16]
LONGEST = 300
"""Largest number of tokens of a response."""


def corrupted(responses: list[Ids], which: int, random: np.random.Generator) -> Ids:
    """A worse response to prompt `which`: another prompt's, shuffled, cut off, repeating, or rotated."""
    response = responses[which]
    kind = random.random()
    if kind < 0.40:
        return responses[random.integers(len(responses))]
    if kind < 0.55:
        return random.permutation(response)
    if kind < 0.75:
        return response[: max(1, int(len(response) * random.uniform(0.1, 0.6)))]
    if kind < 0.87:
        return np.tile(response[: max(2, len(response) // 4)], 6)[:LONGEST]
    half = len(response) // 2
    return np.concatenate([response[half:], response[:half]])
