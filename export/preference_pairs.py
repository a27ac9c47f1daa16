"""A user's pairs from a file: read as extraction reads them, told apart, and scored."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cache.progress import Progress
from export.conversations import Conversation
from export.ends import Source
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.records import Message, PreferencePair, Skipped
from extract.sources.preference import SOURCE
from extract.sources.reader import parse_row
from extract.sources.source import RawRow
from gating.reward import Scored

log = logging.getLogger(__name__)

BATCH_PAIRS = 128
"""Pairs scored together: enough to fill packs."""

NAMED_ROWS = 5
"""Number of rows that are named on the terminal, for each thing that can be wrong with them."""


@dataclass(frozen=True, slots=True)
class ReadPairs:
    """The distinct pairs of a file. Rows are numbered from 1."""

    pairs: tuple[tuple[int, PreferencePair], ...]
    """Number of the first row of each pair, and the pair."""
    rows: int
    repeated: tuple[int, ...]
    """Rows with a pair of an earlier row, which counts once."""
    contradicting: tuple[tuple[int, ...], ...]
    """Rows that prefer either response of one pair by turns. They are left out: they cannot say which is better."""
    skipped: tuple[tuple[int, str], ...]
    """Rows that are no pair, each with the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """The reward model's view of the n pairs that it can score."""

    differences: NDArray[np.float64]
    """(n, k) adjusted rewards of the chosen response less those of the rejected."""
    gate_weights: NDArray[np.float64]
    """(n, k) the gate's weights for the prompts."""
    rows: tuple[int, ...]
    """Number of each pair's row."""
    skipped: tuple[tuple[int, str], ...]
    """Rows with a response that cannot be scored, each with the reason."""


def read_pair(row: FileRow) -> PreferencePair:
    """A row as a pair, in the forms of `extract.sources.preference`.

    Raises:
        NotScorableError: it is none.
    """
    (record,) = parse_row(SOURCE, RawRow(row.values, "", columns=row.columns))
    if isinstance(record, Skipped):
        raise NotScorableError(record.reason)
    assert isinstance(record, PreferencePair)
    return record


def read_pairs(source: Source) -> ReadPairs:
    """The distinct pairs of a file.

    Raises:
        UserError: the file is damaged, or holds something else than rows.
    """
    found: dict[tuple[object, frozenset[str]], list[tuple[int, PreferencePair]]] = {}
    skipped: list[tuple[int, str]] = []
    number = 0
    for number, row in enumerate(source.rows(), start=1):
        if isinstance(row, Malformed):
            skipped.append((number, row.reason))
            continue
        try:
            pair = read_pair(row)
        except NotScorableError as reason:
            skipped.append((number, str(reason)))
            continue
        found.setdefault((pair.prompt, frozenset((pair.chosen, pair.rejected))), []).append((number, pair))
    distinct, repeated, contradicting = [], [], []
    for same in found.values():
        if len({pair.chosen for _, pair in same}) > 1:
            contradicting.append(tuple(number for number, _ in same))
        else:
            distinct.append(same[0])
            repeated += [number for number, _ in same[1:]]
    for rows in contradicting[:NAMED_ROWS]:
        log.warning("left out: rows %s prefer either response of one pair", _and(rows))
    return ReadPairs(tuple(distinct), number, tuple(sorted(repeated)), tuple(contradicting), _named(skipped))


def score_pairs(model: RewardModel, pairs: Sequence[tuple[int, PreferencePair]], progress: Progress) -> ScoredPairs:
    """Score both responses of each pair.

    Args:
        model: the reward model.
        pairs: as `ReadPairs` has them.
        progress: told of pairs done.
    """
    rows: list[int] = []
    differences: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    skipped: list[tuple[int, str]] = []
    waiting = iter(pairs)
    done = 0
    while batch := list(islice(waiting, BATCH_PAIRS)):
        results = iter(model.score_each(talk for _, pair in batch for talk in conversations_of(pair)))
        for number, _ in batch:
            chosen, rejected = next(results), next(results)
            if isinstance(chosen, Scored) and isinstance(rejected, Scored):
                rows.append(number)
                differences.append(chosen.adjusted - rejected.adjusted)
                weights.append(chosen.weights.astype(np.float64))
            else:
                side, reason = ("chosen", chosen) if isinstance(chosen, NotScorableError) else ("rejected", rejected)
                skipped.append((number, f"'{side}' cannot be scored: {reason}"))
        done += len(batch)
        progress("scoring pairs", done, len(pairs), "pairs")
    k = len(model.objectives)
    return ScoredPairs(
        np.asarray(differences, dtype=np.float64).reshape(-1, k),
        np.asarray(weights, dtype=np.float64).reshape(-1, k),
        tuple(rows),
        _named(skipped),
    )


def conversations_of(pair: PreferencePair) -> tuple[Conversation, Conversation]:
    """The prompt with the chosen response, and with the rejected one."""
    chosen, rejected = (Message("assistant", response) for response in (pair.chosen, pair.rejected))
    return (*pair.prompt, chosen), (*pair.prompt, rejected)


def _named(skipped: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    for number, reason in skipped[:NAMED_ROWS]:
        log.warning("skipped: row %d: %s", number, reason)
    return tuple(skipped)


def _and(rows: Sequence[int]) -> str:
    return f"{', '.join(map(str, rows[:-1]))} and {rows[-1]}"
