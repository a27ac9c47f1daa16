"""Rows of a suite that the gate judges right and wrong by the widest margins, with each objective's contribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evaluation.columns import RESPONSE, REWARD, ROW, SCORE, WEIGHT
from evaluation.visible import Passage, passage

ROWS = 5
"""Number of examples of each kind."""

TERMS = 6
"""Number of objectives shown one by one; the others are summed."""

DECIDES = f"{SCORE}gate"
"""Column of the score that decides."""


@dataclass(frozen=True, slots=True)
class Term:
    """The contribution of one objective to the margin."""

    objective: str
    coefficient: float
    """The gate's weight for the row's prompt."""
    chosen: float
    """The chosen response's adjusted reward."""
    rejected: float
    difference: float
    """coefficient × (chosen - rejected)"""


@dataclass(frozen=True, slots=True)
class Response:
    """One of the two responses that decide a row."""

    score: float
    tokens: int
    text: Passage | None


@dataclass(frozen=True, slots=True)
class Example:
    """A row, and the two responses that decide it: the lowest chosen one and the highest rejected one."""

    subset: str
    section: str
    row: str
    responses: int
    """Number of responses of the row."""
    prompt: tuple[tuple[str, Passage], ...] | None
    """(role, text) of each turn; None where the run has no texts."""
    chosen: Response
    rejected: Response
    margin: float
    """The chosen response's score less the rejected one's; above 0 is right."""
    terms: tuple[Term, ...]
    """The largest differences first."""
    others: int
    """Number of objectives that are not among the terms."""
    others_difference: float
    """Sum of their differences."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a suite."""

    best: tuple[Example, ...]
    """Rows judged right, the widest margin first."""
    worst: tuple[Example, ...]
    """Rows judged wrong or tied, the widest margin first."""


def pick(scored: pl.DataFrame, texts: pl.DataFrame | None, objectives: Sequence[str]) -> Examples:
    """The rows judged right and wrong by the widest margins, from as many subsets as possible.

    Args:
        scored: the scored responses of a suite, with `score.gate`, and `reward.` and `weight.` of every objective.
        texts: the table of the suites' texts, or None.
        objectives: names.
    """
    numbered = scored.select(*ROW, "chosen", DECIDES).with_row_index("line")
    sides = numbered.group_by(*ROW, maintain_order=True).agg(
        chosen=pl.col("line").filter(pl.col("chosen")).sort_by(pl.col(DECIDES).filter(pl.col("chosen"))).first(),
        rejected=pl.col("line").filter(~pl.col("chosen")).sort_by(pl.col(DECIDES).filter(~pl.col("chosen"))).last(),
        margin=pl.col(DECIDES).filter(pl.col("chosen")).min() - pl.col(DECIDES).filter(~pl.col("chosen")).max(),
        responses=pl.len(),
    )
    right, wrong = sides.filter(pl.col("margin") > 0), sides.filter(pl.col("margin") <= 0)
    return Examples(
        tuple(_example(scored, texts, objectives, side) for side in _ends(right, descending=True)),
        tuple(_example(scored, texts, objectives, side) for side in _ends(wrong, descending=False)),
    )


def _ends(sides: pl.DataFrame, *, descending: bool) -> list[dict[str, Any]]:
    """The widest margins: each subset's first row before any subset's second."""
    ordered = sides.sort("margin", descending=descending, maintain_order=True)
    turn = ordered.with_columns(turn=pl.int_range(pl.len()).over("suite", "subset"))
    few = turn.sort("turn", maintain_order=True).head(ROWS)
    return few.sort("margin", descending=descending, maintain_order=True).to_dicts()


def _example(
    scored: pl.DataFrame, texts: pl.DataFrame | None, objectives: Sequence[str], side: dict[str, Any]
) -> Example:
    chosen, rejected = (scored.row(side[key], named=True) for key in ("chosen", "rejected"))
    terms = []
    for name in objectives:
        weight, rewards = chosen[WEIGHT + name], (chosen[REWARD + name], rejected[REWARD + name])
        terms.append(Term(name, weight, *rewards, weight * (rewards[0] - rewards[1])))
    terms.sort(key=lambda term: -abs(term.difference))
    others = terms[TERMS:]
    sides = [
        Response(response[DECIDES], response["response_tokens"], passage(text["response"]) if text else None)
        for response, text in ((line, _text(texts, line)) for line in (chosen, rejected))
    ]
    text = _text(texts, chosen)
    return Example(
        subset=chosen["subset"],
        section=chosen["section"],
        row=chosen["row"],
        responses=side["responses"],
        prompt=tuple((turn["role"], passage(turn["content"])) for turn in text["prompt"]) if text else None,
        chosen=sides[0],
        rejected=sides[1],
        margin=chosen[DECIDES] - rejected[DECIDES],
        terms=tuple(terms[:TERMS]),
        others=len(others),
        others_difference=sum(term.difference for term in others),
    )


def _text(texts: pl.DataFrame | None, response: dict[str, Any]) -> dict[str, Any] | None:
    if texts is None:
        return None
    found = texts.filter(pl.all_horizontal(pl.col(key) == pl.lit(response[key]) for key in RESPONSE))
    return found.row(0, named=True) if len(found) else None
