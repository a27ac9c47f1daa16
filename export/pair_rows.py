"""Rows with two responses to one prompt: the scores of both, and which of them the model prefers.

Pairs are read as extraction reads them (`extract.sources.preference`): prompts in any of its columns or in front of
both responses, texts or turns, and ranked lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.comparison import ScoredPair
from export.conversations import Conversation
from export.earlier_scores import PREFERS
from export.json_values import json_values
from export.not_scorable import NotScorableError
from export.preference_pairs import conversations_of, read_pair
from export.rows import all_terms, joined
from extract.files.file_row import FileRow
from extract.records import PreferencePair
from extract.sources.pairing import SIDES
from extract.sources.prompts import CONVERSATIONS


@dataclass(frozen=True, slots=True)
class PairRow:
    """One row."""

    values: dict[str, Any]
    """Its columns, as JSON holds them."""
    pair: PreferencePair
    ranked: bool
    """Whether the pair was made of a ranked list, so that no column holds its two responses."""

    @property
    def conversations(self) -> tuple[Conversation, Conversation]:
        """The prompt with the chosen response, and with the rejected one."""
        return conversations_of(self.pair)


def is_pair(values: Mapping[str, Any]) -> bool:
    """Whether a row is a pair, or meant as one: what is neither text nor turns (a null, a label) is no column of it.

    A row with both sides is one unless it has a prompt and a response beside them; a row with one side or a ranked list
    alone is one where it has nothing else to score.
    """
    there = {name for name, value in values.items() if isinstance(value, str | list | tuple | Mapping)}
    if "prompt" in there and there & {"response", "responses"}:
        return False
    return there.issuperset(SIDES) or bool(there & {*SIDES, "answers"} and not there & {*CONVERSATIONS, "response"})


def read_pair_row(row: FileRow) -> PairRow:
    """A row as a pair.

    Raises:
        NotScorableError: it is none, or has a value that cannot be written back.
    """
    values = json_values(row.values)
    pair = read_pair(FileRow(values, row.columns))
    return PairRow(values, pair, ranked=any(values.get(side) is None for side in SIDES))


def annotated_pair(
    row: PairRow, result: ScoredPair | NotScorableError, objectives: Sequence[str], prefix: str, *, full: bool
) -> dict[str, Any]:
    """The row with the scores of both responses added.

    Keys added: `chosen_score`, `rejected_score`, `margin`, `prefers` (chosen, rejected or tie); where the model holds
    its uncertainty `probability`, that the chosen response is better; for a ranked list `compared`, the two texts.
    `full` adds `margin_std`, and the decomposition and uncertainty of each score.

    Raises:
        NotScorableError: a response has no score, or the row has one of these keys already.
    """
    if isinstance(result, NotScorableError):
        raise result
    verdict = "tie" if result.margin == 0.0 else SIDES[result.margin < 0.0]
    added: dict[str, Any] = {
        "chosen_score": result.first.score,
        "rejected_score": result.second.score,
        "margin": result.margin,
        PREFERS: verdict,
    }
    if result.probability is not None:
        added["probability"] = result.probability
    if row.ranked:
        added["compared"] = {"chosen": row.pair.chosen, "rejected": row.pair.rejected}
    if full:
        added["margin_std"] = result.margin_std
        for side, scored in zip(SIDES, (result.first, result.second), strict=True):
            added[f"{side}_decomposition"] = all_terms(scored, objectives)
    return joined(row.values, added, prefix)
