"""Rows of a file as candidates for a rating: read, encoded, told apart by key, and with their features.

Features come from the store where it has them, and from one pass of the backbone where not. A batch of rows is encoded
and computed at a time, so the token ids of a large file are never in memory together.
"""

import json
import logging
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore, token_key
from cache.keys import as_keys
from cache.progress import Progress
from export.conversations import Conversation
from export.ends import Source
from export.input_encoder import InputEncoder
from export.not_scorable import NotFiniteError, NotScorableError
from export.rows import joined, read_row
from extract.encoded import Encoded
from extract.engines.engine import Engine
from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.packing import Request

log = logging.getLogger(__name__)

BATCH_ROWS = 1024
"""Rows encoded and computed together: enough to fill packs."""

NAMED_ROWS = 5
"""Number of skipped rows that are named on the terminal."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A response that may be rated."""

    row: int
    """Number of its row in the file, from 1."""
    place: int | None
    """Place among the row's `responses`, from 0; None for a row with one response."""


@dataclass(slots=True)
class CandidatePool:
    """The candidates of a file, and how many of its responses are none."""

    candidates: list[Candidate] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    """Blocks (n_i, d), whose rows belong to `candidates` in order."""
    rows: int = 0
    responses: int = 0
    """Responses of the rows that can be read."""
    repeated: int = 0
    """Responses whose tokens are those of an earlier one."""
    rated: int = 0
    """Responses that the run has ratings of."""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    """Number of the row, and the reason, of each row or response that cannot be scored."""
    from_store: int = 0
    """Candidates whose features were in the store."""
    _values: dict[int, bytes] = field(default_factory=dict)

    def values(self, candidate: Candidate) -> dict[str, Any]:
        """The columns of a candidate's row."""
        values: dict[str, Any] = json.loads(self._values[candidate.row])
        return values

    def skip(self, row: int, reason: str) -> None:
        """Count a row or response that cannot be scored, and name the first ones in the log."""
        if len(self.skipped) < NAMED_ROWS:
            log.warning("skipped: row %d: %s", row, reason)
        self.skipped.append((row, reason))

    def keep(self, row: int, values: dict[str, Any]) -> None:
        """Keep a row's columns, as JSON: a third of the memory of Python's objects."""
        if row not in self._values:
            self._values[row] = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class CandidateReader:
    """Reads the candidates of a file.

    Attributes:
        encoder: encodes conversations as the run's rows were.
        load_engine: called once, and only if the store lacks a feature.
        store: of the run.
        rated: keys of responses that have ratings.
        columns: the columns of the flattened features that the heads read.
        pack_tokens: largest number of tokens of one pass.
        added: keys that a suggestion adds to a row, which no row may have.
    """

    encoder: InputEncoder
    load_engine: Callable[[], Engine]
    store: FeatureStore
    rated: Container[bytes]
    columns: slice
    pack_tokens: int
    added: Sequence[str]

    def read(self, source: Source, progress: Progress) -> CandidatePool:
        """Read a file, and compute what the store lacks.

        Raises:
            UserError: the file is damaged or holds something else than rows, or the store is damaged.
        """
        pool = CandidatePool()
        stored: list[tuple[Candidate, bytes]] = []
        engine: Engine | None = None
        seen: set[bytes] = set()
        rows = enumerate(source.rows(), start=1)
        while batch := list(islice(rows, BATCH_ROWS)):
            pool.rows = batch[-1][0]
            new = list(self._new(batch, pool, seen))
            missing = self.store.missing(as_keys(key for _, key, _ in new))
            stored += [(candidate, key) for (candidate, key, _), gone in zip(new, missing, strict=True) if not gone]
            computed = [one for one, gone in zip(new, missing, strict=True) if gone]
            if computed:
                engine = engine or self.load_engine()
                self._compute(engine, computed, pool)
            progress("reading rows", pool.rows, None, "rows")
        self._gather(stored, pool, progress)
        return pool

    def _new(
        self, batch: Sequence[tuple[int, FileRow | Malformed]], pool: CandidatePool, seen: set[bytes]
    ) -> Iterator[tuple[Candidate, bytes, Encoded]]:
        """The responses of some rows that can be scored and are neither repeated nor rated, with key and token ids."""
        candidates: list[Candidate] = []
        conversations: list[Conversation] = []
        values: dict[int, dict[str, Any]] = {}
        for number, given in batch:
            try:
                if isinstance(given, Malformed):
                    raise NotScorableError(given.reason)
                row = read_row(given.values)
                joined(row.values, dict.fromkeys(self.added), "")
            except NotScorableError as reason:
                pool.skip(number, str(reason))
                continue
            values[number] = row.values
            for place, conversation in enumerate(row.conversations):
                candidates.append(Candidate(number, place if row.several else None))
                conversations.append(conversation)
        pool.responses += len(candidates)
        for candidate, encoded in zip(candidates, self.encoder.encode_all(conversations), strict=True):
            if isinstance(encoded, NotScorableError):
                pool.skip(candidate.row, str(encoded))
                continue
            key = token_key(np.concatenate([encoded.prompt, encoded.responses[0]]))
            if key in self.rated:
                pool.rated += 1
            elif key in seen:
                pool.repeated += 1
            elif key in self.store.skipped:
                pool.skip(candidate.row, self.store.skipped[key])
            else:
                seen.add(key)
                pool.keep(candidate.row, values[candidate.row])
                yield candidate, key, encoded

    def _compute(self, engine: Engine, new: Sequence[tuple[Candidate, bytes, Encoded]], pool: CandidatePool) -> None:
        request = Request()
        for _, _, encoded in new:
            request.add(encoded)
        place = {key: number for number, (_, key, _) in enumerate(new)}
        layouts = [request.layout(pack) for pack in request.plan(set(place), self.pack_tokens)]
        features = np.empty((len(new), self._width()), dtype=np.float32)
        for layout, states in zip(layouts, engine.features(layouts), strict=True):
            flat = states.reshape(len(states), -1)[:, self.columns]  # (m, d)
            features[[place[bytes(key)] for key in layout.keys]] = flat
        finite = np.atleast_1d(np.isfinite(features).all(axis=-1))  # (n,)
        for (candidate, _, _), usable in zip(new, finite, strict=True):
            if usable:
                pool.candidates.append(candidate)
            else:
                pool.skip(candidate.row, str(NotFiniteError("a value that is not finite is in its feature")))
        pool.features.append(features if finite.all() else features[finite])

    def _gather(self, stored: Sequence[tuple[Candidate, bytes]], pool: CandidatePool, progress: Progress) -> None:
        """Read the features that the store has, in one pass over it."""
        if not stored:
            return
        features = np.empty((len(stored), self._width()), dtype=np.float32)
        done = 0
        for positions, part in self.store.stream(as_keys(key for _, key in stored)):
            features[positions] = part.reshape(len(part), -1)[:, self.columns]
            done += len(positions)
            progress("reading features", done, len(stored), "rows")
        pool.candidates += [candidate for candidate, _ in stored]
        pool.features.append(features)
        pool.from_store = len(stored)

    def _width(self) -> int:
        return len(range(*self.columns.indices(self.store.layers * self.store.hidden_size)))
