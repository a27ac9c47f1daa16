"""Packing: many prompts in one row of tokens, each once and followed by its responses."""

from array import array
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError, token_key
from cache.keys import KeyIndex, Keys, as_keys
from cache.worker import ALONE, Worker
from extract.encoded import Encoded, TokenIds
from extract.room_in_packs import RoomInPacks
from extract.sequence_groups import SequenceGroups
from extract.tokens.spans import Span, SpanList, TokensInMemory, TokenSource


@dataclass(frozen=True, slots=True)
class PackItem:
    """A prompt and those of its responses that are in the same pack."""

    prompt: bytes
    """Key of the prompt."""
    responses: tuple[bytes, ...]
    """Keys of the conversations that end with these responses."""
    read_prompt: bool
    """Whether this item reads the feature of the prompt."""


Pack = tuple[PackItem, ...]


def pack_keys(pack: Pack) -> list[bytes]:
    """Keys of the features that are read from a pack."""
    return [key for item in pack for key in (*((item.prompt,) if item.read_prompt else ()), *item.responses)]


class Request:
    """All token sequences whose features a run needs, each once, grouped by prompt.

    Holds 220 bytes for each sequence; the ids themselves lie in memory, or in a source that is given.
    """

    def __init__(self, source: TokenSource | None = None) -> None:
        """Request nothing yet.

        Args:
            source: has the ids of what `add_spans` requests; None for a request that holds what `add` is given.
        """
        self._held = TokensInMemory()
        self._source: TokenSource = source or self._held
        self._prompts = SpanList()
        self._responses = SpanList()
        self._prompt_of = array("q")
        self._last: Span | None = None
        self._sorted: SequenceGroups | None = None

    def add(self, encoded: Encoded) -> tuple[bytes, tuple[bytes, ...]]:
        """Request a prompt and its responses, and hold their ids; returns their keys."""
        assert self._source is self._held, "the ids of this request lie elsewhere"
        key = token_key(encoded.prompt)
        prompt = self._held.add(key, key, encoded.prompt)
        responses = []
        for ids in encoded.responses:
            whole = token_key(np.concatenate([encoded.prompt, ids]))
            responses.append(self._held.add(key + whole, whole, ids))
        self.add_spans(prompt, responses)
        return key, tuple(response.key for response in responses)

    def add_spans(self, prompt: Span, responses: Sequence[Span]) -> None:
        """Request a prompt and its responses, whose ids lie in the source."""
        if prompt != self._last:  # rated responses to one prompt often stand together
            self._prompts.append(prompt)
            self._last = prompt
        for response in responses:
            self._prompt_of.append(len(self._prompts) - 1)
            self._responses.append(response)
        self._sorted = None

    @property
    def _groups(self) -> SequenceGroups:
        if self._sorted is None:
            prompt_of = np.array(self._prompt_of)
            self._sorted = SequenceGroups(self._prompts.arrays(), self._responses.arrays(), prompt_of)
        return self._sorted

    def keys(self, worker: Worker = ALONE) -> Keys:
        """Keys of all prompts and conversations that fall to a worker by their prompts, each once. Shape (n, 16)."""
        groups = self._groups
        prompts, responses = groups.prompts.keys, groups.responses.keys
        if worker == ALONE:
            return np.concatenate([prompts, responses[groups.owned]])
        own = np.array([worker.holds(key.tobytes()) for key in prompts], dtype=bool)
        return np.concatenate([prompts[own], responses[groups.owned & own[groups.prompt_of]]])

    def tokens(self) -> int:
        """Number of tokens of all prompts and responses, each prompt counted once."""
        return int(self._groups.prompts.tokens.sum()) + int(self._groups.responses.tokens.sum())

    def tokens_of(self, items: Sequence[PackItem]) -> int:
        """Number of tokens that these items take in a pack or several."""
        prompts, responses = self._numbers(items)
        groups = self._groups
        return int(groups.prompts.tokens[prompts].sum()) + int(groups.responses.tokens[responses].sum())

    def holds(self, items: Sequence[PackItem]) -> bool:
        """Whether all sequences of these items were requested."""
        return all(bool((numbers >= 0).all()) for numbers in self._numbers(items))

    def _numbers(self, items: Sequence[PackItem]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the prompts of items, and of all their responses. Shapes (items,), (responses,)."""
        prompts = self._groups.find_prompts(as_keys(item.prompt for item in items))
        prompt_of = np.repeat(prompts, [len(item.responses) for item in items])
        return prompts, self._groups.find_responses(as_keys(key for item in items for key in item.responses), prompt_of)

    def plan(self, missing: Keys | Set[bytes], pack_tokens: int) -> list[Pack]:
        """Divide the missing sequences into packs of at most `pack_tokens` tokens.

        Items are placed by best fit, largest first. A prompt whose responses do not fit one pack is repeated. The
        plan is a function of the set of sequences, not of the order in which they were requested.
        """
        items = sorted(
            self._items(missing if isinstance(missing, np.ndarray) else as_keys(missing), pack_tokens),
            key=lambda each: (-each[0], each[1].prompt, each[1].responses),
        )
        packs: list[list[PackItem]] = []
        room = RoomInPacks()
        for tokens, item in items:
            found = room.take(tokens)
            if found is None:
                found = pack_tokens, len(packs)
                packs.append([])
            left, pack = found
            packs[pack].append(item)
            room.put(left - tokens, pack)
        del items
        return [tuple(pack) for pack in packs]

    def _items(self, missing: Keys, pack_tokens: int) -> Iterator[tuple[int, PackItem]]:
        """Items with all missing sequences, each with its number of tokens."""
        groups = self._groups
        wanted = KeyIndex(missing)
        read = wanted.find(groups.prompts.keys) >= 0  # (p,)
        chosen = np.flatnonzero(groups.owned & (wanted.find(groups.responses.keys) >= 0))
        # By prompt and length; the order of keys stays where lengths are equal.
        chosen = chosen[np.lexsort((groups.responses.tokens[chosen], groups.prompt_of[chosen]))]
        ends = np.searchsorted(groups.prompt_of[chosen], np.arange(len(read)), side="right")
        start = 0
        for number, end in enumerate(ends.tolist()):
            if read[number] or end > start:
                yield from self._items_of(groups.prompts[number], bool(read[number]), chosen[start:end], pack_tokens)
            start = end

    def _items_of(
        self, prompt: Span, read_prompt: bool, responses: NDArray[np.int64], pack_tokens: int
    ) -> Iterator[tuple[int, PackItem]]:
        """Items of one prompt with these responses, given by number, in order."""
        chunk: list[bytes] = []
        used = prompt.tokens
        for key, _, tokens in self._groups.responses.take(responses):
            if chunk and used + tokens > pack_tokens:
                yield used, PackItem(prompt.key, tuple(chunk), read_prompt)
                chunk, used, read_prompt = [], prompt.tokens, False
            chunk.append(key)
            used += tokens
        yield used, PackItem(prompt.key, tuple(chunk), read_prompt)

    def token_ids(self, items: Sequence[PackItem]) -> list[tuple[TokenIds, list[TokenIds]]]:
        """Token ids of each item's prompt, and of each of its responses. Shapes (tokens,).

        Raises:
            UserError: the ids lie in a file that is damaged.
        """
        prompts, responses = self._numbers(items)
        numbers = iter(responses)
        found = []
        for item, number in zip(items, prompts, strict=True):
            prompt = self._read(self._groups.prompts[number], np.empty(0, np.uint32))
            found.append((prompt, [self._read(self._groups.responses[next(numbers)], prompt) for _ in item.responses]))
        return found

    def _read(self, span: Span, before: TokenIds) -> TokenIds:
        """The ids of a span; a key is the digest of its sequence, so that no other ids pass for them."""
        ids = self._source.read(span.start, span.tokens)
        if token_key(np.concatenate([before, ids])) != span.key:
            raise UserError(f"{self._source.place(span.start)} is damaged: remove it, and run `armorm extract` again")
        return ids

    def layout(self, pack: Pack) -> "PackLayout":
        """The arrays of a pack, as an engine needs them.

        Raises:
            UserError: as `token_ids`.
        """
        return PackLayout.of([(item, *ids) for item, ids in zip(pack, self.token_ids(pack), strict=True)])


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive tokens that attend causally to each other and to all tokens of a prefix."""

    start: int
    stop: int
    prefix_start: int
    prefix_stop: int


@dataclass(frozen=True, slots=True)
class PackLayout:
    """One row of tokens: a prompt, its responses, the next prompt, ….

    A response's segment has its prompt's tokens as prefix; a prompt's segment has an empty prefix.
    """

    token_ids: NDArray[np.int64]
    """(tokens,)"""
    position_ids: NDArray[np.int64]
    """(tokens,) position inside the conversation: a response continues where its prompt ended."""
    segments: tuple[Segment, ...]
    keys: Keys
    """(features, 16)"""
    rows: NDArray[np.int64]
    """(features,) index of the token at which each feature is read."""
    n_tokens: NDArray[np.int32]
    """(features,) length of each feature's token sequence."""

    def sequences(self) -> list[NDArray[np.int64]]:
        """The whole token sequence of each feature, a response's prompt included. Shapes (tokens,)."""
        by_end = {segment.stop - 1: segment for segment in self.segments}
        ends = [by_end[int(row)] for row in self.rows]
        return [
            np.concatenate([self.token_ids[end.prefix_start : end.prefix_stop], self.token_ids[end.start : end.stop]])
            for end in ends
        ]

    @classmethod
    def of(cls, items: Sequence[tuple[PackItem, TokenIds, list[TokenIds]]]) -> "PackLayout":
        """Lay out items, each with its prompt's and its responses' token ids."""
        ids: list[TokenIds] = []
        positions: list[NDArray[np.int64]] = []
        segments: list[Segment] = []
        keys: list[bytes] = []
        rows: list[int] = []
        lengths: list[int] = []
        at = 0
        for item, prompt, responses in items:
            start, n = at, len(prompt)
            ids.append(prompt)
            positions.append(np.arange(n))
            segments.append(Segment(at, at + n, at, at))
            at += n
            if item.read_prompt:
                keys.append(item.prompt)
                rows.append(at - 1)
                lengths.append(n)
            for key, response in zip(item.responses, responses, strict=True):
                ids.append(response)
                positions.append(np.arange(n, n + len(response)))
                segments.append(Segment(at, at + len(response), start, start + n))
                at += len(response)
                keys.append(key)
                rows.append(at - 1)
                lengths.append(n + len(response))
        return cls(
            token_ids=np.concatenate(ids).astype(np.int64),
            position_ids=np.concatenate(positions),
            segments=tuple(segments),
            keys=as_keys(keys),
            rows=np.asarray(rows, dtype=np.int64),
            n_tokens=np.asarray(lengths, dtype=np.int32),
        )
