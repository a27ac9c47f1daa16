"""The words of a prompt, by which it is compared with others, and hashes of their n-grams."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from extract.records import Prompt

N = 8
"""Number of words of an n-gram."""

_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, kana and Han: scripts that are written without spaces between words."""

OPERATORS = "+<=>^"
"""Signs that tell one sum from another, each a word."""

WORD_ALONE = re.compile(rf"[{_UNSPACED}]|[{OPERATORS}]")
"""A letter of an unspaced script, or an operator."""

WORD = re.compile(rf"{WORD_ALONE.pattern}|[^\W_{_UNSPACED}]+")
"""A word by itself, or a run of other letters and digits. Punctuation and white space are in no word."""


def folded(prompt: Prompt) -> str:
    """The text of all turns but the system's, in Unicode's form NFKC and case folded.

    The system turn is left out because it says how to answer and is often the same for a whole data set.
    """
    text = "\n".join(message.content for message in prompt if message.role != "system")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return text.casefold()


def words(prompt: Prompt) -> list[str]:
    """The words of a prompt, without punctuation."""
    return WORD.findall(folded(prompt))


def hashes_of_ngrams(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each n-gram of words, given as numbers. Shape (max(0, words - N + 1),).

    The numbers are scattered by SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195), then summed with the
    powers of an odd number, modulo 2^64.
    """
    x = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    count = max(0, len(numbers) - N + 1)
    total = np.zeros(count, dtype=np.uint64)
    for place in range(N):
        total = total * np.uint64(0xD1342543DE82EF95) + x[place : place + count]
    return total
