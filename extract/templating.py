"""From conversations to token ids: the tokenizer's own chat template, positions by construction.

A position is never searched for in the tokens, since a message may spell any token. The prompt and
the conversation are templated, and the first must be a prefix of the second: the prompt's feature is read where
the prompt ends, the response's feature where the conversation ends. What a template writes after that is cut off
(`extract.template.endings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from cache import UserError
from extract.records import ASKING, Message, Prompt
from extract.settings import BackboneSettings
from extract.template.facts import TemplateFacts
from extract.template.probe import CONVERSATION, EXAMPLE, REMEDY, probe
from extract.template.rendering import NotEncodableError, render, render_each
from extract.template.roles import in_known_roles

__all__ = ["ConversationEncoder", "Encoded", "NotEncodableError", "TokenIds", "added_bos", "with_bos"]

TokenIds = NDArray[np.uint32]

BATCH = 512
"""Number of conversations templated and tokenised at once: enough for the tokenizer's threads, little memory."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and its responses; `prompt + responses[i]` is conversation i. Shapes (tokens,)."""

    prompt: TokenIds
    responses: tuple[TokenIds, ...]


def added_bos(tokenizer: Any) -> int | None:
    """The BOS id, where the tokenizer by itself puts one in front of a text."""
    bos: int | None = tokenizer.bos_token_id
    return bos if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else None


def with_bos(ids: list[int], bos: int | None) -> list[int]:
    """Token ids that begin with the BOS id, if there is one."""
    return [bos, *ids] if bos is not None and ids[:1] != [bos] else ids


class ConversationEncoder:
    """Turns prompts and responses into token ids, or gives the reason why it cannot.

    Args:
        tokenizer: with the chat template to use.
        settings: how features are read.
        vocabulary: number of embeddings; a token id at or above it has none.

    Attributes:
        facts: the findings of the probe.

    Raises:
        UserError: no row could be read rightly with this template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: BackboneSettings, vocabulary: int) -> None:
        self._tokenizer: Any = tokenizer
        self._vocabulary = vocabulary
        self._max_tokens = settings.max_tokens
        self._strip = settings.position == "end_of_turn"
        self._skip_special = settings.special_tokens_in_text == "skip"
        self._special = sorted(
            {
                *tokenizer.all_special_tokens,
                *(str(t) for t in tokenizer.added_tokens_decoder.values() if t.special),
            }
        )
        self._bos = added_bos(tokenizer)
        probed = probe(tokenizer, self._strip, self._writer_of_bos())
        self._prompt_end, self._response_end = probed.prompt, probed.response
        self.facts: TemplateFacts = probed.facts
        self._check_tokens()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, with the chat template in use."""
        return self._tokenizer

    def encode(self, conversations: Sequence[tuple[Prompt, tuple[str, ...]]]) -> list[Encoded | NotEncodableError]:
        """Encode a batch of prompts, each with its responses; returns one result per prompt, in order."""
        results: list[Encoded | NotEncodableError | None] = [None] * len(conversations)
        asked: list[Prompt] = []
        places: list[tuple[int, int]] = []
        for number, (prompt, responses) in enumerate(conversations):
            try:
                known = self._in_known_roles(prompt, responses)
            except NotEncodableError as reason:
                results[number] = reason
                continue
            places.append((number, len(asked)))
            asked += [known, *((*known, Message("assistant", response)) for response in responses)]
        rendered = render_each(self._tokenizer, asked)
        texts: list[str] = []
        where: list[tuple[int, int]] = []
        for number, start in places:
            try:
                own = self._up_to_ends(rendered[start : start + 1 + len(conversations[number][1])])
            except NotEncodableError as reason:
                results[number] = reason
                continue
            where.append((number, len(texts)))
            texts.extend(own)
        ids = self.tokenize(texts)
        for number, start in where:
            count = len(conversations[number][1])
            results[number] = self._encoded(ids[start], ids[start + 1 : start + 1 + count])
        return [result for result in results if result is not None]

    def _in_known_roles(self, prompt: Prompt, responses: tuple[str, ...]) -> Prompt:
        """The prompt with the roles that the template knows, once its texts and those of the responses have passed."""
        for message in prompt:
            self._check_text(f"{message.content}{message.tool_calls}", f"the {message.role} turn")
        for response in responses:
            self._check_text(response, "the response")
        if not prompt or prompt[-1].role not in ASKING:
            raise NotEncodableError("the prompt does not end with a user turn")
        return in_known_roles(prompt, self.facts.roles, self.facts.tool_calls)

    def _up_to_ends(self, rendered: Sequence[str | NotEncodableError]) -> list[str]:
        """The texts of a prompt and of its conversations, each up to the end of its last message."""
        texts: list[str] = []
        for text in rendered:
            if isinstance(text, NotEncodableError):
                raise text
            texts.append((self._response_end if texts else self._prompt_end).cut(text, self._strip))
            if not texts[-1].startswith(texts[0]):
                raise NotEncodableError("the templated prompt is not a prefix of the templated conversation")
        return texts

    def cut(self, text: str) -> str:
        """A templated conversation up to the token at which its response's feature is read.

        The text may come from elsewhere, and lack what the template writes after that token.
        """
        return self._response_end.cut_if_there(text, self._strip)

    def _check_text(self, text: str, what: str) -> None:
        if not text.strip():
            raise NotEncodableError(f"{what} is empty")
        if self._skip_special:
            spelled = next((token for token in self._special if token in text), None)
            if spelled is not None:
                raise NotEncodableError(f"{what} spells the special token {spelled}")

    def tokenize(self, texts: list[str]) -> list[TokenIds]:
        """Token ids of texts that have their template's special tokens already, each with at most one BOS."""
        if not texts:
            return []
        # No special tokens are added: the template has written them, and a second BOS changes every
        # state after it (reward-bench issue 164).
        batches = self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return [np.asarray(with_bos(ids, self._bos), dtype=np.uint32) for ids in batches]

    def _encoded(self, prompt: TokenIds, conversations: Sequence[TokenIds]) -> Encoded | NotEncodableError:
        longest = max((len(ids) for ids in conversations), default=len(prompt))
        if longest > self._max_tokens:
            return NotEncodableError(f"{longest} tokens, more than backbone.max_tokens = {self._max_tokens}")
        largest = int(max((ids.max(initial=0) for ids in (prompt, *conversations)), default=0))
        if largest >= self._vocabulary:
            return NotEncodableError(
                f"the tokenizer gives token {largest}, and the backbone knows {self._vocabulary} (0 to"
                f" {self._vocabulary - 1})"
            )
        n = len(prompt)
        for ids in conversations:
            if len(ids) <= n or not np.array_equal(ids[:n], prompt):
                return NotEncodableError("the tokens of the prompt are not a prefix of the conversation's")
        return Encoded(prompt, tuple(ids[n:] for ids in conversations))

    def _writer_of_bos(self) -> Literal["template", "tokenizer", "none"]:
        bos = self._tokenizer.bos_token_id
        try:
            text = render(self._tokenizer, CONVERSATION)
        except NotEncodableError:  # the probe says so
            return "none"
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if bos is not None and ids[:1] == [bos]:
            return "template"
        return "none" if self._bos is None else "tokenizer"

    def _check_tokens(self) -> None:
        """Refuse a tokenizer and template of which no row could pass, before any row is read.

        Raises:
            UserError: plain conversations get no tokens, the same tokens, or two BOS.
        """
        prompt, answer = EXAMPLE[:1], EXAMPLE[1].content
        made = self.encode([(prompt, (answer, "No idea.")), ((Message("user", "Name a colour."),), (answer,))])
        for result in made:
            if isinstance(result, NotEncodableError):
                raise UserError(f"the chat template does not fit this method ({result}): {REMEDY}")
        first, second = (result for result in made if isinstance(result, Encoded))
        if np.array_equal(first.responses[0], first.responses[1]) or np.array_equal(first.prompt, second.prompt):
            raise UserError(f"the chat template gives the same tokens for different texts: {REMEDY}")
        bos = self._tokenizer.bos_token_id
        if bos is not None and first.prompt[:2].tolist() == [bos, bos]:
            raise UserError(f"the chat template writes more than one BOS at the start: {REMEDY}")
