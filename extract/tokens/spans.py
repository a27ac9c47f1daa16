"""Where the token ids of sequences lie, and where they lie in memory."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cache.keys import Keys, as_keys
from extract.encoded import TokenIds


class Span(NamedTuple):
    """A token sequence whose ids lie in a `TokenSource`; of a conversation the ids after its prompt alone."""

    key: bytes
    """Key of the whole sequence, a conversation's prompt included. Shape (16,)."""
    start: int
    """Place of its first id in the source."""
    tokens: int
    """Number of ids."""


class TokenSource(Protocol):
    """A list of token ids, one sequence's after the other's."""

    def read(self, start: int, tokens: int) -> TokenIds:
        """The ids of a span. Shape (tokens,), uint32."""

    def place(self, start: int) -> str:
        """Where this span lies, for a sentence about its damage."""


@dataclass(frozen=True, slots=True)
class SpanArrays:
    """Spans as arrays, which take 28 bytes each."""

    keys: Keys
    """(n, 16) uint8"""
    starts: NDArray[np.int64]
    """(n,)"""
    tokens: NDArray[np.int32]
    """(n,)"""

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> Span:
        return Span(self.keys[number].tobytes(), int(self.starts[number]), int(self.tokens[number]))

    def __iter__(self) -> Iterator[Span]:
        keys = self.keys.tobytes()
        width = self.keys.shape[1]
        for number, (start, tokens) in enumerate(zip(self.starts.tolist(), self.tokens.tolist(), strict=True)):
            yield Span(keys[number * width : (number + 1) * width], start, tokens)

    def take(self, numbers: NDArray[np.int64]) -> "SpanArrays":
        """The spans at these places."""
        return SpanArrays(self.keys[numbers], self.starts[numbers], self.tokens[numbers])


class SpanList:
    """A list of spans that grows."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._starts = array("q")
        self._tokens = array("i")

    def append(self, span: Span) -> None:
        """Add a span at the end."""
        self._keys += span.key
        self._starts.append(span.start)
        self._tokens.append(span.tokens)

    def __len__(self) -> int:
        return len(self._starts)

    def arrays(self) -> SpanArrays:
        """The spans so far, as a copy."""
        return SpanArrays(as_keys([bytes(self._keys)]), np.array(self._starts), np.array(self._tokens))


class TokensInMemory:
    """A `TokenSource` in memory, for a few conversations."""

    reasons = None

    def __init__(self) -> None:
        self._sequences: list[TokenIds] = []
        self._spans: dict[bytes, Span] = {}

    def find(self, names: Sequence[bytes]) -> list[Span | None]:
        """The span of each name, None where there is none."""
        return [self._spans.get(name) for name in names]

    def add(self, name: bytes, key: bytes, ids: TokenIds) -> Span:
        """Add a sequence under a name; the first of a name stays."""
        span = self._spans.setdefault(name, Span(key, len(self._sequences), len(ids)))
        if span.start == len(self._sequences):
            self._sequences.append(ids)
        return span

    def read(self, start: int, tokens: int) -> TokenIds:
        """See `TokenSource`."""
        assert len(self._sequences[start]) == tokens
        return self._sequences[start]

    def place(self, start: int) -> str:
        """See `TokenSource`."""
        return f"sequence {start} in memory"
