"""From conversations to token ids: the tokenizer's own chat template, positions by construction.

A position is never searched for in the tokens, since a message may spell any token. The prompt and
the conversation are templated, and the first must be a prefix of the second: the prompt's feature is read where
the prompt ends, the response's feature where the conversation ends. What a template writes after that is cut off
(`extract.template.endings`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from cache import UserError
from extract.encoded import Encoded, EncodedPrompt, TokenIds
from extract.records import ASKING, Message, Prompt
from extract.settings import BackboneSettings
from extract.template.division import tokens_of_a_turn, undivided_end
from extract.template.facts import TemplateFacts
from extract.template.probe import CONVERSATION, EXAMPLE, REMEDY, probe
from extract.template.rendering import NotEncodableError, render, render_each
from extract.template.roles import in_known_roles

__all__ = ["ConversationEncoder", "Encoded", "EncodedPrompt", "NotEncodableError", "TokenIds", "added_bos", "with_bos"]

BATCH = 512
"""Number of conversations templated and tokenised at once: enough for the tokenizer's threads, little memory."""


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
        tokens_of_a_turn: smallest number of tokens that a turn can have.

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
        end = undivided_end(tokenizer, self._prompt_end.closing) or ""
        self._prompt_tail = (end, self._token_ids([end])[0] if end else [])
        self.facts: TemplateFacts = probed.facts
        self.tokens_of_a_turn = self._tokens_of_a_turn()
        self._check_tokens()

    @property
    def vocabulary(self) -> int:
        """Number of embeddings."""
        return self._vocabulary

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, with the chat template in use."""
        return self._tokenizer

    def encode(self, conversations: Sequence[tuple[Prompt, tuple[str, ...]]]) -> list[Encoded | NotEncodableError]:
        """Encode a batch of prompts, each with its responses; returns one result per prompt, in order."""
        different = list(dict.fromkeys(prompt for prompt, _ in conversations))  # rated responses share a prompt
        prompts = dict(zip(different, self._prompts(different), strict=True))
        both = [(prompts[prompt], responses) for prompt, responses in conversations]
        made = iter(
            self._responses(
                [
                    (prompt, each)
                    for prompt, responses in both
                    if isinstance(prompt, EncodedPrompt)
                    for each in responses
                ]
            )
        )
        results: list[Encoded | NotEncodableError] = []
        for prompt, responses in both:
            if isinstance(prompt, NotEncodableError):
                results.append(prompt)
                continue
            own = [next(made) for _ in responses]
            reasons = [each for each in own if isinstance(each, NotEncodableError)]
            ids = tuple(each for each in own if not isinstance(each, NotEncodableError))
            results.append(reasons[0] if reasons else Encoded(prompt.ids, ids))
        return results

    def encode_prompt(self, prompt: Prompt) -> EncodedPrompt:
        """A prompt, to be followed by any number of responses.

        Raises:
            NotEncodableError: it is empty or too long by itself, does not end with a user turn, or spells a special
                token.
        """
        (encoded,) = self._prompts([prompt])
        if isinstance(encoded, NotEncodableError):
            raise encoded
        return encoded

    def encode_response(self, prompt: EncodedPrompt, response: str) -> Encoded:
        """One response to an encoded prompt; the same token ids as `encode` gives.

        Raises:
            NotEncodableError: it is empty, the two are too long, or it spells a special token.
        """
        (ids,) = self._responses([(prompt, response)])
        if isinstance(ids, NotEncodableError):
            raise ids
        return Encoded(prompt.ids, (ids,))

    def _prompts(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt | NotEncodableError]:
        results: list[EncodedPrompt | NotEncodableError | None] = [None] * len(prompts)
        asked: list[tuple[int, Prompt]] = []
        for number, prompt in enumerate(prompts):
            try:
                asked.append((number, self._in_known_roles(prompt)))
            except NotEncodableError as reason:
                results[number] = reason
        texts: list[tuple[int, Prompt, str]] = []
        rendered = render_each(self._tokenizer, [prompt for _, prompt in asked])
        for (number, prompt), text in zip(asked, rendered, strict=True):
            try:
                texts.append((number, prompt, self._prompt_end.cut(_rendered(text), self._strip)))
            except NotEncodableError as reason:
                results[number] = reason
        for (number, prompt, text), ids in zip(texts, self.tokenize([text for *_, text in texts]), strict=True):
            results[number] = self._encoded_prompt(prompt, text, ids)
        return [result for result in results if result is not None]

    def _in_known_roles(self, prompt: Prompt) -> Prompt:
        """The prompt with the roles that the template knows, once its texts have passed."""
        for message in prompt:
            self._check_text(f"{message.content}{message.tool_calls}", f"the {message.role} turn")
        if not prompt or prompt[-1].role not in ASKING:
            raise NotEncodableError("the prompt does not end with a user turn")
        return in_known_roles(prompt, self.facts.roles, self.facts.tool_calls)

    def _responses(self, asked: Sequence[tuple[EncodedPrompt, str]]) -> list[TokenIds | NotEncodableError]:
        """Token ids of responses after their prompts, rendered and tokenised together."""
        results: list[TokenIds | NotEncodableError | None] = [None] * len(asked)
        usable: list[int] = []
        for number, (_, response) in enumerate(asked):
            try:
                self._check_text(response, "the response")
                usable.append(number)
            except NotEncodableError as reason:
                results[number] = reason
        turns = [(*asked[number][0].turns, Message("assistant", asked[number][1])) for number in usable]
        texts: list[tuple[int, str]] = []
        for number, text in zip(usable, render_each(self._tokenizer, turns), strict=True):
            try:
                texts.append((number, self._from_end_of_prompt(asked[number][0], _rendered(text))))
            except NotEncodableError as reason:
                results[number] = reason
        for (number, _), ids in zip(texts, self._token_ids([text for _, text in texts]), strict=True):
            try:
                results[number] = self._after(asked[number][0], ids)
            except NotEncodableError as reason:
                results[number] = reason
        return [result for result in results if result is not None]

    def _from_end_of_prompt(self, prompt: EncodedPrompt, whole: str) -> str:
        """The conversation's text, from the prompt's `end` on."""
        text = self._response_end.cut(whole, self._strip)
        if not text.startswith(prompt.text):
            raise NotEncodableError("the templated prompt is not a prefix of the templated conversation")
        return text[len(prompt.text) - len(prompt.end) :]

    def _encoded_prompt(self, prompt: Prompt, text: str, ids: TokenIds) -> EncodedPrompt | NotEncodableError:
        if len(ids) > self._max_tokens:
            return NotEncodableError(
                f"the prompt alone is {len(ids)} tokens, more than backbone.max_tokens = {self._max_tokens}"
            )
        end, end_ids = self._prompt_tail
        if end and text.endswith(end) and ids[-len(end_ids) :].tolist() == end_ids:
            return EncodedPrompt(prompt, text, ids, end, len(end_ids))
        return EncodedPrompt(prompt, text, ids, text, len(ids))

    def _after(self, prompt: EncodedPrompt, ids: list[int]) -> TokenIds:
        """The response's token ids, from those of the prompt's `end` and the response."""
        n = len(prompt.ids)
        if prompt.end == prompt.text:
            ids = with_bos(ids, self._bos)
        row = np.asarray(ids, dtype=np.uint32)
        if (tokens := n - prompt.end_tokens + len(row)) > self._max_tokens:
            raise NotEncodableError(f"{tokens} tokens, more than backbone.max_tokens = {self._max_tokens}")
        largest = int(max(prompt.ids.max(initial=0), row.max(initial=0)))
        if largest >= self._vocabulary:
            raise NotEncodableError(
                f"the tokenizer gives token {largest}, and the backbone knows {self._vocabulary} (0 to"
                f" {self._vocabulary - 1})"
            )
        if tokens <= n or not np.array_equal(row[: prompt.end_tokens], prompt.ids[n - prompt.end_tokens :]):
            raise NotEncodableError("the tokens of the prompt are not a prefix of the conversation's")
        return row[prompt.end_tokens :]

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
        return [np.asarray(with_bos(ids, self._bos), dtype=np.uint32) for ids in self._token_ids(texts)]

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        # No special tokens are added: the template has written them, and a second BOS changes every
        # state after it (reward-bench issue 164).
        # The tokenizer below transformers' does without each token's place in the text, a fifth of the time.
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = bool(getattr(self._tokenizer, "split_special_tokens", False))
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]

    def _tokens_of_a_turn(self) -> int:
        text = EXAMPLE[0].content
        answered = (*CONVERSATION, Message("user", text), Message("assistant", text))
        try:
            rendered = [render(self._tokenizer, answered[: len(CONVERSATION) + more]) for more in range(3)]
        except NotEncodableError:  # a template for one turn alone
            return 1
        return min(tokens_of_a_turn(one, two, self._special) for one, two in pairwise(rendered))

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


def _rendered(text: str | NotEncodableError) -> str:
    if isinstance(text, NotEncodableError):
        raise text
    return text
