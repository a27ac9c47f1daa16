"""An index that finds prompts with the same words, or with the same word n-grams.

Two prompts are compared by their words, all turns but the system's one after the other. They are the same where the
words are, and share n-grams where at least 70 % of the word 8-grams of the shorter prompt stand in the longer. Eight is
the shortest n of GPT-3's analysis (Brown et al., arXiv 2005.14165, appendix C), and 70 % of the 8-grams is PaLM's
threshold (Chowdhery et al., arXiv 2204.02311, section 8). A prompt of fewer than eight words is the same or it is not.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from extract.records import Prompt
from extract.words import N, hashes_of_ngrams, words

SHARE = 0.7
"""The least share of the shorter prompt's n-grams that counts."""

UNKNOWN = -1
"""Number of a word that no prompt of the index has."""


class PromptIndex:
    """Numbered prompts. Holds 12 bytes for each of their n-grams, and their vocabulary."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}  # digest of the words -> prompt number
        self._vocabulary: dict[str, int] = {}
        self._sizes: list[int] = []  # prompt number -> distinct n-grams
        self._new_grams: list[NDArray[np.uint64]] = []
        self._grams = np.empty(0, np.uint64)  # (m,) ascending
        self._owners = np.empty(0, np.int32)  # (m,) prompt number of each n-gram

    def add(self, prompt: Prompt) -> int | None:
        """The number of a prompt: a new one, or that of the same words; None for a prompt without words."""
        spelt = words(prompt)
        if not spelt:
            return None
        number = self._numbers.setdefault(_digest(spelt), len(self._sizes))
        if number == len(self._sizes):
            ids = [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in spelt]
            grams = np.unique(hashes_of_ngrams(np.array(ids, dtype=np.int64)))
            self._sizes.append(len(grams))
            self._new_grams.append(grams)
        return number

    def find(self, prompt: Prompt) -> dict[int, float | None]:
        """Number of each prompt that is like this one -> share of the n-grams, or None if the words are the same."""
        spelt = words(prompt)
        matches: dict[int, float | None] = {}
        self._sort()
        known, others = self._known_grams(spelt)
        low = np.searchsorted(self._grams, known, side="left")
        inside = low < len(self._grams)
        stored = np.zeros(len(known), dtype=bool)
        stored[inside] = self._grams[low[inside]] == known[inside]
        if stored.any():  # for most prompts none is, and the rest costs nothing
            distinct = np.unique(known)
            starts, first = np.unique(low[stored], return_index=True)
            stops = np.searchsorted(self._grams, known[stored][first], side="right")
            owners = [self._owners[start:stop] for start, stop in zip(starts, stops, strict=True)]
            numbers, common = np.unique(np.concatenate(owners), return_counts=True)
            sizes = np.array([self._sizes[number] for number in numbers])
            shares = common / np.minimum(sizes, len(distinct) + others)
            matches |= {int(numbers[at]): float(shares[at]) for at in np.flatnonzero(shares >= SHARE)}
        same = self._numbers.get(_digest(spelt))
        return matches if same is None else matches | {same: None}

    def _known_grams(self, spelt: Sequence[str]) -> tuple[NDArray[np.uint64], int]:
        """Hashes of the n-grams of which every word is known, and the number of the others."""
        ids = np.array([self._vocabulary.get(word, UNKNOWN) for word in spelt], dtype=np.int64)
        count = max(0, len(ids) - N + 1)
        known = np.ones(count, dtype=bool)  # (n-grams,)
        for place in range(N):
            known &= ids[place : place + count] != UNKNOWN
        of_known = int(np.count_nonzero(known))
        return (hashes_of_ngrams(ids)[known] if of_known else np.empty(0, np.uint64)), count - of_known

    def _sort(self) -> None:
        """Sort the n-grams of new prompts among the others."""
        if not self._new_grams:
            return
        first = len(self._sizes) - len(self._new_grams)
        new_owners = np.repeat(np.arange(first, len(self._sizes), dtype=np.int32), list(map(len, self._new_grams)))
        grams = np.concatenate([self._grams, *self._new_grams])
        owners = np.concatenate([self._owners, new_owners])
        order = np.argsort(grams, kind="stable")
        self._grams, self._owners, self._new_grams = grams[order], owners[order], []


def _digest(spelt: Sequence[str]) -> bytes:
    return hashlib.blake2b(" ".join(spelt).encode(), digest_size=16).digest()
