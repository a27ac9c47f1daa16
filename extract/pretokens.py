"""Token ids of texts by way of their pre-tokens, whose ids are kept: most words of a text were seen before.

A byte-level BPE tokenizer looks for its added tokens, divides each stretch between two of them into pre-tokens by
regular expressions, and merges the bytes of each pre-token by itself. Here Python's expressions divide, in an alphabet
in which they do what the tokenizer's do (`extract.pretoken_pattern`), and the tokenizer's own model merges a pre-token
when it comes first. The ids are those of the tokenizer.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from tokenizers import models, normalizers, pre_tokenizers

from extract.encoded import TokenIds
from extract.pretoken_pattern import ALPHABET, OUTSIDE, pattern_of

MOST_KEPT = 65_536
"""Pre-tokens that are kept, 200 bytes each; later ones are merged again."""

LONGEST_KEPT = 32
"""Characters of the longest pre-token that is kept."""

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""The expression of tokenizers' `ByteLevel` (pre_tokenizers/byte_level.rs), which is GPT-2's."""

EACH_DIGIT = r"\p{N}|[^\p{N}]+"
"""Expression that divides as `Digits(individual_digits=True)` does."""

TRIAL = (
    "I'll say: THEY'RE 12345 of l'été,\u00a0isn't it?\r\n\r\n\tdef f(x): \n        return x**2  # ½ “na\u00efve” – 3 €",
    " x … \n\n\n ",
    "\x1f\x85 \x0b\x00ÀÉ'S don'T ²³x\u2260y",
)
"""Texts whose ids are compared before the tokenizer is taken for one that is understood."""


class _KeptIds(dict[str, bytes]):
    """Pre-token -> its ids, uint32, made when it is asked for."""

    def __init__(self, make: Callable[[str], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, pretoken: str) -> bytes:
        ids = self._make(pretoken)
        if len(pretoken) <= LONGEST_KEPT and len(self) < MOST_KEPT:
            self[pretoken] = ids
        return ids


class PretokenIds:
    """The token ids of a text in `ALPHABET`, of a tokenizer that is understood (`pretoken_ids`)."""

    def __init__(self, backend: Any, divide: Callable[[str], list[str]]) -> None:
        """Keep nothing yet.

        Args:
            backend: `tokenizers.Tokenizer`, a byte-level BPE.
            divide: a text's pre-tokens; a character that is in none shows in the sum of their lengths.
        """
        self._backend = backend
        self._divide = divide
        self._model = backend.model
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._as_bytes = {ord(letter): level.pre_tokenize_str(letter)[0][0] for letter in ALPHABET}
        self._kept = _KeptIds(self._merged)
        added = {token.content: number for number, token in backend.get_added_tokens_decoder().items()}
        self._added = {content: _bytes([number]) for content, number in added.items()}
        longest_first = sorted(map(re.escape, added), key=len, reverse=True)
        self._apart = re.compile(f"({'|'.join(longest_first)})") if added else None

    def __reduce__(self) -> tuple[Any, ...]:
        return pretoken_ids, (self._backend,)

    def __call__(self, text: str) -> TokenIds | None:
        """The token ids, no BOS or EOS added. Shape (tokens,); None for a text of other characters."""
        if not text.isascii() and OUTSIDE.search(text):
            return None
        made: list[bytes] = []
        for number, stretch in enumerate(self._apart.split(text) if self._apart else [text]):
            if number % 2:
                made.append(self._added[stretch])
            elif stretch:
                pretokens = self._divide(stretch)
                if sum(map(len, pretokens)) != len(stretch):
                    return None  # the tokenizer makes pre-tokens of what its expression leaves out
                made.extend(map(self._kept.__getitem__, pretokens))
        return np.frombuffer(b"".join(made), np.uint32)

    def _merged(self, pretoken: str) -> bytes:
        return _bytes([token.id for token in self._model.tokenize(pretoken.translate(self._as_bytes))])


def pretoken_ids(backend: Any) -> PretokenIds | None:
    """`PretokenIds` of a tokenizer, or None if its parts are not all known to work as the module's text says."""
    model, normalizer = backend.model, backend.normalizer
    if not isinstance(model, models.BPE) or model.dropout is not None:
        return None
    if not (normalizer is None or isinstance(normalizer, normalizers.NFC)):  # NFC changes no text of the alphabet
        return None
    for token in backend.get_added_tokens_decoder().values():
        if token.lstrip or token.rstrip or token.single_word or token.normalized or not token.content:
            return None
    divide = _divider(backend.pre_tokenizer)
    if divide is None:
        return None
    made = PretokenIds(backend, divide)
    backend.no_truncation()
    backend.no_padding()
    for text in TRIAL:
        ids = made(text)
        if ids is not None and ids.tolist() != backend.encode(text, add_special_tokens=False).ids:
            return None
    return made


def _divider(pre_tokenizer: Any) -> Callable[[str], list[str]] | None:
    """The function that divides a text as a pre-tokenizer does, if that is known."""
    if not isinstance(pre_tokenizer, pre_tokenizers.PreTokenizer):
        return None
    state: dict[str, Any] = json.loads(pre_tokenizer.__getstate__())
    *stages, last = state["pretokenizers"] if state["type"] == "Sequence" else [state]
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        return None
    expressions = [_expression(stage) for stage in stages] + ([GPT_2] if last["use_regex"] else [])
    patterns = [None if each is None else pattern_of(each) for each in expressions]
    finders = [pattern.findall for pattern in patterns if pattern is not None]
    if not finders or len(finders) < len(expressions):
        return None
    return finders[0] if len(finders) == 1 else partial(_in_turn, finders)


def _expression(stage: dict[str, Any]) -> str | None:
    """The expression of what a stage's pre-tokens are; None where it is not known."""
    if stage["type"] == "Digits" and stage["individual_digits"]:
        return EACH_DIGIT
    if stage["type"] == "Split" and stage["behavior"] == "Isolated" and not stage["invert"]:
        expression: str | None = stage["pattern"].get("Regex")
        return expression
    return None


def _in_turn(finders: Sequence[Callable[[str], list[str]]], text: str) -> list[str]:
    pieces = [text]
    for find in finders:
        pieces = list(chain.from_iterable(map(find, pieces)))
    return pieces


def _bytes(ids: list[int]) -> bytes:
    return np.array(ids, np.uint32).tobytes()
