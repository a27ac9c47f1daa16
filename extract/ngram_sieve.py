"""Which of many prompts may share a word n-gram with a suite's: most do not, and need not be looked at by themselves.

The words of many prompts are hashed at once, and so are their n-grams. A prompt that shares none with a suite
is neither a suite's prompt nor like one, if it has so many words; one that passes is looked up in `PromptIndex`.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from extract.records import Prompt
from extract.words import WORD_ALONE, N, folded, hashes_of_ngrams

BLOCK_CHARACTERS = 2**16
"""Characters of prompts that are hashed at once: their arrays stay in the processor's cache."""

BITS_OF_A_GRAM = 16
"""Bits of the table for each stored n-gram: one in sixteen others passes it, and is searched for."""

BASE = 0xD6E8FEB86659FD93
"""An odd number: a word's hash is the sum of its characters times the powers of this, modulo 2^64."""

SPACE, OF_A_WORD, ALONE = range(3)
"""Kinds of characters: in no word, part of a word, a word by itself."""


@cache
def _kinds() -> NDArray[np.uint8]:
    """Character -> its kind, as `extract.words.WORD` has it."""
    kinds = np.fromiter((chr(code).isalnum() for code in range(sys.maxunicode + 1)), np.uint8, sys.maxunicode + 1)
    kinds[[ord(match[0]) for match in WORD_ALONE.finditer("".join(map(chr, range(sys.maxunicode + 1))))]] = ALONE
    return kinds


class NgramSieve:
    """The n-grams of suites' prompts, ten bytes each."""

    def __init__(self) -> None:
        self._powers = _Powers()
        self._new: list[Prompt] = []
        self._grams = np.empty(0, np.uint64)  # (m,) ascending
        self._shift = np.uint64(61)
        self._bits = np.zeros(1, np.uint8)  # one bit for each value of the shifted hash

    def add(self, prompt: Prompt) -> None:
        """Add a suite's prompt."""
        self._new.append(prompt)

    def passes(self, prompts: Sequence[Prompt]) -> NDArray[np.bool_]:
        """Whether each prompt shares an n-gram with a suite's, or has too few words for one. Shape (prompts,)."""
        self._sort()
        passed = np.zeros(len(prompts), dtype=bool)
        for first, block in _blocks(prompts):
            grams, owners, counts = self._ngrams(block)
            passed[first : first + len(block)] = counts < N
            at = (grams >> self._shift).astype(np.int64)
            likely = np.flatnonzero((self._bits[at >> 3] >> (at & 7).astype(np.uint8)) & 1)
            places = np.minimum(np.searchsorted(self._grams, grams[likely]), len(self._grams) - 1)
            stored = likely[self._grams[places] == grams[likely]]
            passed[first + owners[stored]] = True
        return passed

    def _sort(self) -> None:
        if not self._new:
            return
        new = [self._ngrams(block)[0] for _, block in _blocks(self._new)]
        self._new = []
        self._grams = np.unique(np.concatenate([self._grams, *new]))
        bits = max(3, int(BITS_OF_A_GRAM * len(self._grams)).bit_length())
        self._shift = np.uint64(64 - bits)
        at = (self._grams >> self._shift).astype(np.int64)
        self._bits = np.packbits(np.bincount(at, minlength=2**bits).astype(bool), bitorder="little")

    def _ngrams(self, block: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """Hashes of the n-grams of texts, the text of each, and each text's number of words. (g,), (g,), (texts,)."""
        characters = np.frombuffer("".join(f"{text}\n" for text in block).encode("utf-32-le", "surrogatepass"), "<u4")
        kinds = _kinds()[characters]
        within = kinds == OF_A_WORD
        begins, ends = kinds != SPACE, kinds != SPACE
        begins[1:] &= ~(within[1:] & within[:-1])
        ends[:-1] &= ~(within[:-1] & within[1:])
        starts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1  # (words,)
        hashes = self._powers.hashes(characters, starts, stops)
        lasts = np.cumsum([len(text) + 1 for text in block])
        counts = np.diff(np.searchsorted(starts, lasts), prepend=0)
        owners = np.repeat(np.arange(len(block)), counts)  # (words,)
        grams = hashes_of_ngrams(hashes)
        whole = owners[: len(grams)] == owners[len(owners) - len(grams) :]
        return grams[whole], owners[: len(grams)][whole], counts


class _Powers:
    """Powers of `BASE` and of its inverse modulo 2^64, as many as were needed."""

    def __init__(self) -> None:
        self._powers = self._inverse = np.empty(0, np.uint64)

    def hashes(
        self, characters: NDArray[np.uint32], starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The hash of each stretch of characters, the same wherever it stands. Shape (words,)."""
        count = len(characters)
        if len(self._powers) < count:
            self._powers, self._inverse = (_powers(base, 2 * count) for base in (BASE, pow(BASE, -1, 2**64)))
        sums = np.zeros(count + 1, np.uint64)
        np.cumsum(characters * self._powers[:count], out=sums[1:])
        return ((sums[stops] - sums[starts]) * self._inverse[starts]).view(np.int64)


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _blocks(prompts: Sequence[Prompt]) -> Iterator[tuple[int, list[str]]]:
    """The prompts' texts in blocks, each with the number of its first."""
    first, size = 0, 0
    block: list[str] = []
    for number, prompt in enumerate(prompts):
        block.append(folded(prompt))
        size += len(block[-1])
        if size >= BLOCK_CHARACTERS:
            yield first, block
            first, size, block = number + 1, 0, []
    if block:
        yield first, block
