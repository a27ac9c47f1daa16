"""The token sequences of a run, each once, sorted by prompt: a few arrays, however many rows there are."""

import numpy as np
from numpy.typing import NDArray

from cache.keys import KeyIndex, Keys, halves
from extract.tokens.spans import SpanArrays


class SequenceGroups:
    """Prompts, and the conversations of each. Immutable; 150 bytes for each sequence.

    A sequence may end one conversation and be the prompt of a longer one, or be split into prompt and response in two
    ways. It is computed once: as a prompt if it is one, else after the prompt whose key comes first, which owns it.

    Attributes:
        prompts: (p,) each prompt once, by ascending key.
        responses: (r,) each conversation of each prompt once, by prompt and ascending key.
        prompt_of: (r,) number of a conversation's prompt.
        first: (p + 1,) number of each prompt's first conversation.
        owned: (r,) whether the conversation is computed after this prompt.
    """

    def __init__(self, prompts: SpanArrays, responses: SpanArrays, prompt_of: NDArray[np.int64]) -> None:
        """Sort spans that may stand there several times.

        Args:
            prompts: (n,)
            responses: (m,)
            prompt_of: (m,) place in `prompts` of each response's prompt.
        """
        once, numbers = _distinct(prompts.keys)
        self.prompts = prompts.take(once)
        self._prompts = KeyIndex(self.prompts.keys)
        owners = numbers[prompt_of]
        once, _ = _distinct(responses.keys, owners)
        self.responses, self.prompt_of = responses.take(once), owners[once]
        self.first = np.searchsorted(self.prompt_of, np.arange(len(self.prompts) + 1))
        self._pairs = KeyIndex(_in_prompt(self.responses.keys, self.prompt_of))
        self.owned = np.zeros(len(self.responses), dtype=bool)
        self.owned[_distinct(self.responses.keys)[0]] = True  # the first of a key is that of its first prompt
        self.owned &= self._prompts.find(self.responses.keys) < 0

    def find_prompts(self, keys: Keys) -> NDArray[np.int64]:
        """Number of each prompt, -1 where there is none. Shape (n,)."""
        return self._prompts.find(keys)

    def find_responses(self, keys: Keys, prompt_of: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of each conversation, -1 where its prompt has none of this key. Shape (n,).

        Args:
            keys: (n, 16)
            prompt_of: (n,) number of each one's prompt.
        """
        return self._pairs.find(_in_prompt(keys, prompt_of))


def _distinct(keys: Keys, groups: NDArray[np.int64] | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of each key in its group, ascending by group and key; and the number of every key among these."""
    high, low = halves(keys)
    group = np.zeros(len(keys), dtype=np.int64) if groups is None else groups
    order = np.lexsort((low, high, group))  # stable: the first of equals stays the first
    new = np.ones(len(keys), dtype=bool)
    if len(keys):
        new[1:] = np.diff(group[order]) != 0
        new[1:] |= (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[order] = np.cumsum(new) - 1
    return order[new], numbers


def _in_prompt(keys: Keys, prompt_of: NDArray[np.int64]) -> Keys:
    """Keys that tell a conversation of one prompt from the same token ids after another prompt."""
    mixed: Keys = np.array(keys)
    mixed.view("<u8")[:, 1] ^= prompt_of.astype(np.uint64)  # keys are digests: two of them stay apart
    return mixed
