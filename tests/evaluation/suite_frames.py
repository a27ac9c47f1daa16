"""Frames of scored responses, as `armorm eval` writes them."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from extract.style import STYLE

SCHEMA = {
    "suite": pl.String,
    "subset": pl.String,
    "section": pl.String,
    "row": pl.String,
    "place": pl.Int32,
    "chosen": pl.Boolean,
    "prompt_key": pl.Binary,
    "response_key": pl.Binary,
    "response_tokens": pl.Int32,
    **dict.fromkeys(STYLE, pl.Int32),
    "metadata": pl.String,
}


def scored(
    rows: Sequence[Mapping[str, Sequence[float | None]]],
    tokens: Sequence[int] = (),
    prompts: Sequence[int] = (),
    lists: Sequence[int] = (),
) -> pl.DataFrame:
    """Rows of one rule `a`, each {'chosen': scores, 'rejected': scores}.

    Args:
        rows: of subset 'all'.
        tokens: of the responses in order; 1, 2, … by default.
        prompts: number of each row's prompt; one a row by default.
        lists: items of lists in the responses in order; none by default.
    """
    lines = []
    for number, row in enumerate(rows):
        prompt = prompts[number] if prompts else number
        for side in ("chosen", "rejected"):
            for place, score in enumerate(row[side]):
                length = tokens[len(lines)] if tokens else len(lines) + 1
                key = len(lines).to_bytes(16, "big")
                identity = ("s", "all", "all", str(number), place, side == "chosen", prompt.to_bytes(16, "big"), key)
                items = lists[len(lines)] if lists else 0
                lines.append((*identity, length, 0, items, 0, "{}", score))
    return pl.DataFrame(lines, schema=SCHEMA | {"score.a": pl.Float64}, orient="row")


def random_pairs(rng: np.random.Generator, rows: int, rules: Sequence[str] = ("a", "b", "c")) -> pl.DataFrame:
    """Rows of one chosen and one rejected response with scores of several rules."""
    chosen = rng.normal(0.5, 1.0, (rows, len(rules)))
    rejected = rng.normal(0.0, 1.0, (rows, len(rules)))
    tokens = [int(length) for length in rng.integers(1, 50, 2 * rows)]
    frame = scored([{"chosen": [0.0], "rejected": [0.0]}] * rows, tokens).drop("score.a")
    values = np.stack([chosen, rejected], axis=1).reshape(2 * rows, -1)  # (lines, rules)
    return frame.with_columns(pl.Series(f"score.{rule}", values[:, at]) for at, rule in enumerate(rules))
