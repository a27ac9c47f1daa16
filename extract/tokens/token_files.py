"""The token ids of all texts that one encoder has seen, in files that later runs and other recipes read back."""

import logging
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.durable import TEMPORARY
from cache.errors import first_line
from cache.keys import Keys, as_keys, find_halves, halves
from extract.encoded import TokenIds
from extract.tokens import segment
from extract.tokens.kept_reasons import KeptReasons
from extract.tokens.segment import SUFFIX, Segment
from extract.tokens.spans import Span, SpanArrays

log = logging.getLogger(__name__)

FOLDER = "tokens"
"""Folder beside the stores, with a folder for each encoder."""

LEFT_SECONDS = 3600
"""Age at which a file that is being written is taken for one that nobody goes on with; writing takes a second."""

SEGMENT_TOKENS = 2**22
"""Ids of a file (16 MiB): what is in memory while rows are read, and what a kill can lose."""

SEGMENT_TEXTS = 2**15
"""Most texts of a file, 350 bytes each in memory beside their ids."""


class _Index:
    """Finds the numbers of names, counted over all files. 20 bytes for each."""

    def __init__(self, high: NDArray[np.uint64], low: NDArray[np.uint64], numbers: NDArray[np.int32]) -> None:
        order = np.lexsort((low, high))
        self._high, self._low, self._numbers = high[order], low[order], numbers[order]

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, names: Keys) -> NDArray[np.int64]:
        """Number of each name, -1 where there is none. Shape (n,)."""
        places = find_halves(self._high, self._low, names)
        return np.where(places < 0, -1, self._numbers[places]) if len(self) else places

    def joined(self, other: "_Index") -> "_Index":
        return _Index(
            np.concatenate([self._high, other._high]),
            np.concatenate([self._low, other._low]),
            np.concatenate([self._numbers, other._numbers]),
        )


class TokenFiles:
    """A `TokenSource` of files. What `add` is given can be read after `finish`.

    Several processes may write at once: a file appears whole, and one that two of them write is the same.

    Attributes:
        folder: of the encoder.
        reasons: why records have no ids, by their names.
    """

    def __init__(self, root: Path, encoder: str) -> None:
        """Open the files of an encoder below `root`, which need not exist; nothing is written.

        A damaged file is named in a warning and left out: its texts are tokenised again.
        """
        self.folder = root / FOLDER / encoder
        self.reasons = KeptReasons(self.folder)
        self._encoder = encoder
        self._segments: list[Segment] = []
        self._firsts: list[int] = []  # place of each file's first id, counted over all
        self._first_texts: list[int] = []  # number of each file's first text
        self._texts = 0
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
        numbers = np.arange(self._texts, self._texts + len(one.names), dtype=np.int32)
        self._segments.append(one)
        self._firsts.append(self._tokens)
        self._first_texts.append(self._texts)
        self._tokens += len(one.ids)
        self._texts += len(one.names)
        self._indexes.append(_Index(*halves(one.names), numbers))
        # Indexes of like size are joined, so that there are few, and none is sorted more often than the logarithm.
        while len(self._indexes) > 1 and len(self._indexes[-2]) < 2 * len(self._indexes[-1]):
            last = self._indexes.pop()
            self._indexes.append(self._indexes.pop().joined(last))

    def find(self, names: Sequence[bytes]) -> list[Span | None]:
        """The span of each text that was tokenised before, by its name."""
        found = [self._new.get(name) for name in names]
        for index in self._indexes:
            places = [place for place, span in enumerate(found) if span is None]
            if not places:
                break
            numbers = index.find(as_keys(names[place] for place in places))
            known = np.flatnonzero(numbers >= 0)
            for at, span in self._spans(numbers[known]):
                found[places[known[at]]] = span
        return found

    def _spans(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, Span]]:
        """Each place in an array of texts' numbers, and the span of its text."""
        files = np.searchsorted(self._first_texts, numbers, side="right") - 1
        for file in np.unique(files).tolist():
            one, here = self._segments[file], np.flatnonzero(files == file)
            texts = numbers[here] - self._first_texts[file]
            starts, stops = one.offsets[texts], one.offsets[texts + 1]
            spans = SpanArrays(one.keys[texts], self._firsts[file] + starts.astype(np.int64), stops - starts)
            yield from zip(here.tolist(), spans, strict=True)

    def add(self, name: bytes, key: bytes, ids: TokenIds) -> Span:
        """Add the ids of a text that `find` does not find."""
        if name in self._new:
            return self._new[name]
        full = self._next - self._tokens + len(ids) > SEGMENT_TOKENS or len(self._new) == SEGMENT_TEXTS
        if self._new and full:
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
        """Write what was added, and let go of the names, 20 bytes a text: from now on only `read` finds anything.

        Raises:
            OSError: as `finish`.
        """
        self.finish()
        self.reasons.write()
        self._indexes = []

    def read(self, start: int, tokens: int) -> TokenIds:
        """See `TokenSource`."""
        number = bisect_right(self._firsts, start) - 1
        first = start - self._firsts[number]
        return self._segments[number].ids[first : first + tokens]

    def place(self, start: int) -> str:
        """See `TokenSource`."""
        return str(self._segments[bisect_right(self._firsts, start) - 1].path)
