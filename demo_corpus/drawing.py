"""Drawing a data set's prompts from the pool, and adding imperfect rows."""

import random
from collections.abc import Sequence
from typing import Any

from demo_corpus.files import Row
from demo_corpus.planted import Case

MODELS = ("demo-alpha", "demo-beta", "demo-gamma", "demo-delta")
"""Names in place of the models that wrote the responses of the real sets."""


def sample_cases(cases: Sequence[Case], rng: random.Random, *, single_turn: bool = True, **kinds: float) -> list[Case]:
    """A random part of the cases, by the probability of each kind; kinds that are not named are skipped."""
    return [
        case
        for case in cases
        if rng.random() < kinds.get(case.ask.kind, 0.0) and not (single_turn and len(case.ask.turns) > 1)
    ]


def insert(rows: list[Row], rng: random.Random, values: dict[str, Any], flaw: str) -> None:
    """Insert a row that is imperfect on purpose at a random place."""
    rows.insert(rng.randint(0, len(rows)), (values, flaw))
