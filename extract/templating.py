"""From conversations to token ids: the tokenizer's own chat template, positions by construction.

A position is never searched for in the tokens, since a message may spell any token. The prompt and
the conversation are templated, and the first must be a prefix of the second: the prompt's feature is read where
the prompt ends, the response's feature where the conversation ends. What a template writes after that is cut off
(`extract.template.endings`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from extract.checks import length_fault, text_fault
from extract.encoded import Encoded, EncodedPrompt, TokenIds
from extract.pretokens import pretoken_ids
from extract.records import ASKING, Message, Prompt
from extract.settings import BackboneSettings
from extract.special_tokens import TokenFinder, special_tokens
from extract.template.bos import added_bos, with_bos, writer_of_bos
from extract.template.division import least_tokens_of_a_turn, undivided_end
from extract.template.facts import TemplateFacts
from extract.template.probe import probe
from extract.template.rendering import NotEncodableError, render_each
from extract.template.roles import in_known_roles
from extract.template.trial import refuse_useless

__all__ = ["ConversationEncoder", "Encoded", "EncodedPrompt", "NotEncodableError", "TokenIds"]

BATCH = 512
"""Number of conversations templated and tokenised at once: enough for the tokenizer's threads, little memory."""


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
        special = special_tokens(tokenizer)
        self._forbidden = TokenFinder(special) if settings.special_tokens_in_text == "skip" else None
        self._bos = added_bos(tokenizer)
        probed = probe(tokenizer, self._strip, writer_of_bos(tokenizer), settings.system_turns)
        self._prompt_end, self._response_end = probed.prompt, probed.response
        end = undivided_end(tokenizer, self._prompt_end.closing) or ""
        self._spells_special = bool(getattr(tokenizer, "split_special_tokens", False))
        self._pretokens = None if self._spells_special else pretoken_ids(tokenizer.backend_tokenizer)
        self._prompt_tail = (end, self._token_ids([end])[0].tolist() if end else [])
        self.facts: TemplateFacts = probed.facts
        self.tokens_of_a_turn = least_tokens_of_a_turn(tokenizer, special)
        refuse_useless(self.encode, tokenizer.bos_token_id)

    @property
    def vocabulary(self) -> int:
        """Number of embeddings."""
        return self._vocabulary

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, with the chat template in use."""
        return self._tokenizer

    def encode(
        self, conversations: Sequence[tuple[Prompt, tuple[str, ...]]], *, empty: bool = False
    ) -> list[Encoded | NotEncodableError]:
        """Encode a batch of prompts, each with its responses.

        Args:
            conversations: prompts and their responses.
            empty: whether turns and responses may be empty, as in suites, whose official scripts score them.

        Returns:
            One result per prompt, in order.
        """
        different = list(dict.fromkeys(prompt for prompt, _ in conversations))  # rated responses share a prompt
        prompts = dict(zip(different, self._prompts(different, empty=empty), strict=True))
        both = [(prompts[prompt], responses) for prompt, responses in conversations]
        made = iter(
            self._responses(
                [
                    (prompt, each)
                    for prompt, responses in both
                    if isinstance(prompt, EncodedPrompt)
                    for each in responses
                ],
                empty=empty,
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

    def _prompts(self, prompts: Sequence[Prompt], *, empty: bool = False) -> list[EncodedPrompt | NotEncodableError]:
        results: list[EncodedPrompt | NotEncodableError | None] = [None] * len(prompts)
        asked: list[tuple[int, Prompt]] = []
        for number, prompt in enumerate(prompts):
            try:
                asked.append((number, self._in_known_roles(prompt, empty)))
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

    def _in_known_roles(self, prompt: Prompt, empty: bool) -> Prompt:
        """The prompt with the roles that the template knows, once its texts have passed."""
        for message in prompt:
            self._check_text(f"the {message.role} turn", f"{message.content}{message.tool_calls}", empty)
        if not prompt or prompt[-1].role not in ASKING:
            raise NotEncodableError("the prompt does not end with a user turn")
        return in_known_roles(prompt, self.facts.roles, self.facts.tool_calls)

    def _responses(
        self, asked: Sequence[tuple[EncodedPrompt, str]], *, empty: bool = False
    ) -> list[TokenIds | NotEncodableError]:
        """Token ids of responses after their prompts, rendered and tokenised together."""
        results: list[TokenIds | NotEncodableError | None] = [None] * len(asked)
        usable: list[int] = []
        for number, (_, response) in enumerate(asked):
            try:
                self._check_text("the response", response, empty)
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

    def _check_text(self, what: str, text: str, empty: bool) -> None:
        if fault := text_fault(text, empty=empty, special=self._forbidden):
            raise NotEncodableError(f"{what} {fault}")

    def _from_end_of_prompt(self, prompt: EncodedPrompt, whole: str) -> str:
        """The conversation's text, from the prompt's `end` on."""
        text = self._response_end.cut(whole, self._strip)
        if not text.startswith(prompt.text):
            raise NotEncodableError("the templated prompt is not a prefix of the templated conversation")
        return text[len(prompt.text) - len(prompt.end) :]

    def _encoded_prompt(self, prompt: Prompt, text: str, ids: TokenIds) -> EncodedPrompt | NotEncodableError:
        if fault := length_fault(len(ids), self._max_tokens):
            return NotEncodableError(f"the prompt alone {fault}")
        end, end_ids = self._prompt_tail
        if end and text.endswith(end) and ids[-len(end_ids) :].tolist() == end_ids:
            return EncodedPrompt(prompt, text, ids, end, len(end_ids))
        return EncodedPrompt(prompt, text, ids, text, len(ids))

    def _after(self, prompt: EncodedPrompt, row: TokenIds) -> TokenIds:
        """The response's token ids, from those of the prompt's `end` and the response."""
        n = len(prompt.ids)
        if prompt.end == prompt.text:
            row = with_bos(row, self._bos)
        if fault := length_fault(tokens := n - prompt.end_tokens + len(row), self._max_tokens):
            raise NotEncodableError(f"the conversation {fault}")
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

    def tokenize(self, texts: list[str]) -> list[TokenIds]:
        """Token ids of texts that have their template's special tokens already, each with at most one BOS."""
        return [with_bos(ids, self._bos) for ids in self._token_ids(texts)]

    def _token_ids(self, texts: list[str]) -> list[TokenIds]:
        # No special tokens are added: the template has written them, and a second BOS changes every
        # state after it (reward-bench issue 164).
        made = [None if self._pretokens is None else self._pretokens(text) for text in texts]
        others = iter(self._by_tokenizer([text for text, ids in zip(texts, made, strict=True) if ids is None]))
        return [next(others) if ids is None else ids for ids in made]

    def _by_tokenizer(self, texts: list[str]) -> list[TokenIds]:
        if not texts:
            return []
        # The tokenizer below transformers' does without each token's place in the text, a fifth of the time.
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = self._spells_special
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]


def _rendered(text: str | NotEncodableError) -> str:
    if isinstance(text, NotEncodableError):
        raise text
    return text
