"""The token ids of all texts that one encoder has seen, in files that later runs and other recipes read back."""

import logging
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from cache.durable import TEMPORARY
from cache.errors import first_line
from cache.keys import KeyIndex, Keys, as_keys
from extract.encoded import TokenIds
from extract.tokens import segment
from extract.tokens.segment import SUFFIX, Segment
from extract.tokens.spans import Span, SpanArrays

log = logging.getLogger(__name__)

FOLDER = "tokens"
"""Folder beside the stores, with a folder for each encoder."""

LEFT_SECONDS = 3600
"""Age at which a file that is being written is taken for one that nobody goes on with; writing takes a second."""

SEGMENT_TOKENS = 2**22
"""Ids of a file (16 MiB): what is in memory while rows are read, and what a kill can lose."""


class _Index:
    """Finds the spans of names. 76 bytes for each."""

    def __init__(self, names: Keys, spans: SpanArrays) -> None:
        self.names, self.spans = names, spans
        self._places = KeyIndex(names)

    def find(self, names: Keys) -> list[Span | None]:
        places = self._places.find(names)
        found: list[Span | None] = [None] * len(names)
        known = np.flatnonzero(places >= 0)
        for at, span in zip(known.tolist(), self.spans.take(places[known]), strict=True):
            found[at] = span
        return found

    def joined(self, other: "_Index") -> "_Index":
        mine, others = self.spans, other.spans
        spans = SpanArrays(
            np.concatenate([mine.keys, others.keys]),
            np.concatenate([mine.starts, others.starts]),
            np.concatenate([mine.tokens, others.tokens]),
        )
        return _Index(np.concatenate([self.names, other.names]), spans)


class TokenFiles:
    """A `TokenSource` of files. What `add` is given can be read after `finish`.

    Several processes may write at once: a file appears whole, and one that two of them write is the same.
    """

    def __init__(self, root: Path, encoder: str) -> None:
        """Open the files of an encoder below `root`, which need not exist; nothing is written.

        A damaged file is named in a warning and left out: its texts are tokenised again.
        """
        self.folder = root / FOLDER / encoder
        self._encoder = encoder
        self._segments: list[Segment] = []
        self._firsts: list[int] = []
        self._tokens = 0
        self._indexes: list[_Index] = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.is_file():
                self._take(path)
        self._begin()

    def _begin(self) -> None:
        self._new: dict[bytes, Span] = {}
        self._ids = bytearray()  # one block: thousands of arrays that come and go leave gaps in memory
        self._next = self._tokens

    def _take(self, path: Path) -> None:
        try:
            one = Segment(path, self._encoder)
        except (ValueError, OSError) as error:
            log.warning("%s cannot be used (%s): its texts are tokenised again; remove it", path, first_line(error))
            return
        lengths = np.diff(one.offsets)
        spans = SpanArrays(one.keys, one.offsets[:-1].astype(np.int64) + self._tokens, lengths)
        self._segments.append(one)
        self._firsts.append(self._tokens)
        self._tokens += len(one.ids)
        self._indexes.append(_Index(one.names, spans))
        # Indexes of like size are joined, so that there are few, and none is sorted more often than the logarithm.
        while len(self._indexes) > 1 and len(self._indexes[-2].names) < 2 * len(self._indexes[-1].names):
            last = self._indexes.pop()
            self._indexes.append(self._indexes.pop().joined(last))

    def find(self, names: Sequence[bytes]) -> list[Span | None]:
        """The span of each text that was tokenised before, by its name."""
        found = [self._new.get(name) for name in names]
        for index in self._indexes:
            places = [place for place, span in enumerate(found) if span is None]
            if not places:
                break
            for place, span in zip(places, index.find(as_keys(names[place] for place in places)), strict=True):
                found[place] = span
        return found

    def add(self, name: bytes, key: bytes, ids: TokenIds) -> Span:
        """Add the ids of a text that `find` does not find."""
        if name in self._new:
            return self._new[name]
        if self._new and self._next - self._tokens + len(ids) > SEGMENT_TOKENS:
            self.finish()
        span = self._new[name] = Span(key, self._next, len(ids))
        self._ids += ids.astype(np.uint32, copy=False).tobytes()
        self._next += len(ids)
        return span

    def finish(self) -> None:
        """Write what was added to a file, durably.

        Raises:
            OSError: the disk is full, or does not give back what was written.
        """
        if not self._new:
            return
        self._remove_leftovers()
        names, keys = as_keys(self._new), as_keys(span.key for span in self._new.values())
        lengths, ids = [span.tokens for span in self._new.values()], np.frombuffer(self._ids, np.uint32)
        path, before = segment.write(self.folder, self._encoder, names, keys, lengths, ids), len(self._segments)
        self._take(path)
        if len(self._segments) == before:
            raise OSError(f"{path} does not hold what was written to it: is the disk in order?")
        self._begin()

    def _remove_leftovers(self) -> None:
        """Remove what processes that were killed left half written; what another one is writing now is younger."""
        for path in self.folder.glob(f"*{TEMPORARY}"):
            with suppress(OSError):  # another process removes it too
                if time.time() - path.stat().st_mtime > LEFT_SECONDS:
                    path.unlink()

    def close(self) -> None:
        """Write what was added, and let go of the names, 120 bytes a text: from now on only `read` finds anything.

        Raises:
            OSError: as `finish`.
        """
        self.finish()
        self._indexes = []

    def read(self, start: int, tokens: int) -> TokenIds:
        """See `TokenSource`."""
        number = bisect_right(self._firsts, start) - 1
        first = start - self._firsts[number]
        return self._segments[number].ids[first : first + tokens]

    def place(self, start: int) -> str:
        """See `TokenSource`."""
        return str(self._segments[bisect_right(self._firsts, start) - 1].path)
