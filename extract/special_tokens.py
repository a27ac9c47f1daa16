"""Special tokens of a tokenizer: all, which texts may not spell, and one to pad with, which the backbone knows."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any


def special_tokens(tokenizer: Any) -> list[str]:
    """The texts of all special tokens, sorted."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    return sorted({*tokenizer.all_special_tokens, *added})


class TokenFinder:
    """Finds a token that a text spells, among hundreds: most begin alike, and few texts spell even the beginning."""

    def __init__(self, tokens: Collection[str]) -> None:
        """Group the tokens by their first two characters.

        Args:
            tokens: texts of tokens; of several that a text spells, the first of these is found.
        """
        self._tokens = tuple(tokens)
        self._beginnings: defaultdict[str, list[str]] = defaultdict(list)
        for token in tokens:
            self._beginnings[token[:2]].append(token)

    def __call__(self, text: str) -> str | None:
        """The first token that `text` spells, None where it spells none."""
        for beginning, tokens in self._beginnings.items():
            # One character is searched for at ten times the speed of two.
            if beginning[:1] in text and beginning in text and any(token in text for token in tokens):
                return next(token for token in self._tokens if token in text)
        return None


def padding_token(tokenizer: Any, vocabulary: int, avoid: Collection[int] = ()) -> str | None:
    """The token that pads a batch: the tokenizer's own where the backbone has an embedding for it, else another.

    Padding is masked, so any token does that can be told from a conversation's last one. A tokenizer may have none, or
    one that was added without an embedding.

    Args:
        tokenizer: the tokenizer.
        vocabulary: number of embeddings.
        avoid: ids that end a templated conversation, where padding could not be told from them.

    Returns:
        The text of the token; None if the tokenizer has no token at all.
    """
    own = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    special = sorted(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)
    begins = {tokenizer.bos_token_id}
    candidates = (*own, *(number for number in special if number not in begins), *special, *range(vocabulary))
    for number in candidates:
        if number is not None and number < vocabulary and number not in avoid:
            token: str | None = tokenizer.convert_ids_to_tokens(number)
            if token is not None:
                return token
    return None
