"""Packing: many prompts in one row of tokens, each once and followed by its responses."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import token_key
from cache.keys import Keys, as_keys
from cache.worker import ALONE, Worker
from extract.templating import Encoded, TokenIds


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
    """All token sequences whose features a run needs, each once, grouped by prompt."""

    def __init__(self) -> None:
        self._prompts: dict[bytes, TokenIds] = {}
        self._responses: dict[bytes, dict[bytes, TokenIds]] = {}

    def add(self, encoded: Encoded) -> tuple[bytes, tuple[bytes, ...]]:
        """Request a prompt and its responses; returns their keys."""
        prompt = token_key(encoded.prompt)
        self._prompts.setdefault(prompt, encoded.prompt)
        responses = self._responses.setdefault(prompt, {})
        keys = []
        for ids in encoded.responses:
            key = token_key(np.concatenate([encoded.prompt, ids]))
            responses.setdefault(key, ids)
            keys.append(key)
        return prompt, tuple(keys)

    def keys(self, worker: Worker = ALONE) -> Keys:
        """Keys of all prompts and conversations that fall to a worker by their prompts, each once. Shape (n, 16)."""
        owners = self._owners()
        return as_keys(key for key, prompt in owners.items() if worker.holds(prompt))

    def _owners(self) -> dict[bytes, bytes]:
        """Key -> the prompt it is computed with.

        A sequence may end one conversation and be the prompt of a longer one, or be split into prompt and
        response in two ways. It is computed once: as a prompt if it is one, else after the prompt whose digest
        comes first.
        """
        owners = {prompt: prompt for prompt in self._prompts}
        for prompt in sorted(self._prompts):
            for key in self._responses[prompt]:
                owners.setdefault(key, prompt)
        return owners

    def tokens(self) -> int:
        """Number of tokens of all prompts and responses, each prompt counted once."""
        return sum(map(len, self._prompts.values())) + sum(
            len(ids) for group in self._responses.values() for ids in group.values()
        )

    def item_tokens(self, item: PackItem) -> int:
        """Number of tokens that an item takes in a pack."""
        group = self._responses[item.prompt]
        return len(self._prompts[item.prompt]) + sum(len(group[key]) for key in item.responses)

    def holds(self, item: PackItem) -> bool:
        """Whether all sequences of an item were requested."""
        group = self._responses.get(item.prompt)
        return group is not None and all(key in group for key in item.responses)

    def plan(self, missing: set[bytes], pack_tokens: int) -> list[Pack]:
        """Divide the missing sequences into packs of at most `pack_tokens` tokens.

        Items are placed by best fit, largest first. A prompt whose responses do not fit one pack is repeated. The
        plan is a function of the set of sequences, not of the order in which they were requested.
        """
        owned: dict[bytes, set[bytes]] = {}
        for key, prompt in self._owners().items():
            if key in missing:
                owned.setdefault(prompt, set()).add(key)
        items = [item for prompt, keys in owned.items() for item in self._items(prompt, keys, pack_tokens)]
        items.sort(key=lambda item: (-self.item_tokens(item), item.prompt, item.responses))
        packs: list[list[PackItem]] = []
        free: list[tuple[int, int]] = []  # (tokens left, pack), ascending
        for item in items:
            tokens = self.item_tokens(item)
            at = bisect_left(free, (tokens, -1))
            if at < len(free):
                left, pack = free.pop(at)
            else:
                left, pack = pack_tokens, len(packs)
                packs.append([])
            packs[pack].append(item)
            insort(free, (left - tokens, pack))
        return [tuple(pack) for pack in packs]

    def _items(self, prompt: bytes, missing: set[bytes], pack_tokens: int) -> Iterable[PackItem]:
        group = self._responses[prompt]
        wanted = sorted((key for key in group if key in missing), key=lambda key: (len(group[key]), key))
        read_prompt = prompt in missing
        room = pack_tokens - len(self._prompts[prompt])
        chunk: list[bytes] = []
        used = 0
        for key in wanted:
            if chunk and used + len(group[key]) > room:
                yield PackItem(prompt, tuple(chunk), read_prompt)
                chunk, used, read_prompt = [], 0, False
            chunk.append(key)
            used += len(group[key])
        yield PackItem(prompt, tuple(chunk), read_prompt)

    def token_ids(self, item: PackItem) -> tuple[TokenIds, list[TokenIds]]:
        """Token ids of an item's prompt, and of each of its responses. Shapes (tokens,)."""
        return self._prompts[item.prompt], [self._responses[item.prompt][key] for key in item.responses]

    def layout(self, pack: Pack) -> "PackLayout":
        """The arrays of a pack, as an engine needs them."""
        return PackLayout.of([(item, *self.token_ids(item)) for item in pack])


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
