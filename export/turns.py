"""The end of the prompt in token ids of a whole conversation, found by the tokens that the template writes there.

Where messages are given as text, positions are known by construction (extract/templating.py). In token ids, or in text
that the template has already written, the end of the last prompt is found by the tokens around it: those that close the
user's turn, and the header of the response. The last match counts, so a response that contains these very tokens is cut
there; text cannot spell them unless the tokenizer parses special tokens in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from cache import UserError
from export.not_scorable import NotScorableError
from extract.records import Message, Prompt
from extract.template.probe import REMEDY
from extract.template.rendering import NotEncodableError, render
from extract.templating import ConversationEncoder, Encoded, TokenIds

PROMPTS = ("What is two plus two?", "List 3 colours:\nred, green", "Thanks", "f(x) = {x}", "naïve 猫")
RESPONSES = ("It is four.", "\n\nFour", " four", "4", "```python\nx = 1\n```", "(a) yes", "- one\n- two", "猫")
"""Texts whose first and last tokens differ: tokens that all conversations have in common are the template's."""


@dataclass(frozen=True, slots=True)
class TurnMarkers:
    """Tokens that a chat template writes between a prompt and its response, and after the last token that is read."""

    prompt_end: tuple[int, ...]
    """Token ids around the end of the prompt."""
    offset: int
    """Number of tokens of `prompt_end` that belong to the prompt; its feature is read at the last of these."""
    trailing: tuple[int, ...]
    """Token ids after the closing token, where no feature is read; empty if the last token is read."""
    pad: int | None
    """Token id of padding."""
    closing: tuple[int, ...]
    """Token ids that close a response."""
    blank: frozenset[str]
    """Texts that stand in a response that says nothing: none, and what the template itself writes there."""
    tokenizer: Any

    @classmethod
    def of(cls, encoder: ConversationEncoder, position: str) -> "TurnMarkers":
        """Learn the tokens from a few conversations.

        Raises:
            UserError: the template writes nothing there, so that the end of the prompt cannot be found.
        """
        made = encoder.encode([((Message("user", prompt),), RESPONSES) for prompt in PROMPTS])
        encoded = [one for one in made if isinstance(one, Encoded)]
        if not encoded:
            raise UserError(f"the chat template takes none of a few plain conversations: {REMEDY}")
        closing = _common([one.prompt[::-1] for one in encoded])[::-1]
        beginnings = [response for one in encoded for response in one.responses]
        header = _common([*beginnings, *_generation_prompts(encoder, encoded)])
        if len(closing) + len(header) == 0:
            raise UserError(f"the chat template writes nothing between a prompt and its response: {REMEDY}")
        trailing = _trailing(encoder, (Message("user", PROMPTS[0]), Message("assistant", RESPONSES[0])))
        markers = cls(
            (*closing, *header),
            len(closing),
            trailing if position == "end_of_turn" or encoder.facts.response_surplus else (),
            encoder.tokenizer.pad_token_id,
            _common([response[::-1] for response in beginnings])[::-1],
            frozenset([""]),
            encoder.tokenizer,
        )
        (empty,) = encoder.encode([((Message("user", PROMPTS[0]),), ("",))], empty=True)
        if isinstance(empty, NotEncodableError):
            return markers
        return replace(markers, blank=markers.blank | {markers.said(empty.responses[0][len(header) :])})

    def split(self, ids: TokenIds) -> Encoded:
        """A whole conversation as prompt and response.

        Raises:
            NotScorableError: there is no assistant turn, or it is empty: white space alone, as where texts are given.
        """
        ids = self.without_padding(ids)
        at = self._last_place(ids)
        if at is None:
            raise NotScorableError(
                "there is no assistant turn, or nothing in it: the tokens in front of a response are nowhere"
            )
        start, header = at + self.offset, at + len(self.prompt_end)
        end = len(ids) - len(self.trailing)
        if self.trailing and end >= header and tuple(ids[end:].tolist()) == self.trailing:
            ids = ids[:end]
        if self.said(ids[header:]) in self.blank:
            raise NotScorableError("the response is empty")
        return Encoded(ids[:start], (ids[start:],))

    def said(self, response: TokenIds) -> str:
        """The text of a response's token ids behind its header, without special tokens and white space at its ends."""
        ids = _ints(response)
        if self.closing and tuple(ids[-len(self.closing) :]) == self.closing:
            ids = ids[: -len(self.closing)]
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text.strip()

    def text_of(self, response: TokenIds) -> str:
        """The text of a response's token ids behind its header, in which marks of style are counted.

        The class of an exported folder decodes a response in the same way.
        """
        ids, header = _ints(response), self.prompt_end[self.offset :]
        if tuple(ids[: len(header)]) == header:
            ids = ids[len(header) :]
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def without_padding(self, ids: TokenIds) -> TokenIds:
        """The ids without the padding on either side.

        Where the padding token also closes a turn (`pad = eos`), the first of those at the end stays.
        """
        if self.pad is None or len(ids) == 0:
            return ids
        places = np.flatnonzero(ids != self.pad)
        if len(places) == 0:
            return ids[:0]
        closes = self.offset > 0 and self.prompt_end[self.offset - 1] == self.pad
        return ids[places[0] : places[-1] + 1 + closes]

    def _last_place(self, ids: TokenIds) -> int | None:
        pattern = np.asarray(self.prompt_end, dtype=ids.dtype)
        if len(ids) < len(pattern):
            return None
        windows = np.lib.stride_tricks.sliding_window_view(ids, len(pattern))  # (places, len(pattern))
        places = np.flatnonzero((windows == pattern).all(axis=-1))
        return int(places[-1]) if len(places) else None


def _common(rows: Sequence[TokenIds]) -> tuple[int, ...]:
    """Longest common prefix of the rows."""
    return tuple(column[0] for column in takewhile(lambda column: len(set(column)) == 1, zip(*map(_ints, rows))))  # noqa: B905


def _ints(ids: TokenIds) -> list[int]:
    return [int(token) for token in ids]


def _generation_prompts(encoder: ConversationEncoder, encoded: Sequence[Encoded]) -> list[TokenIds]:
    """Headers that the template writes before a response to be generated; before a given one Qwen 3 adds a thought."""
    rows = []
    for text, one in zip(PROMPTS, encoded, strict=False):
        try:
            rendered = render(encoder.tokenizer, (Message("user", text),), generation=True)
        except NotEncodableError:
            continue
        (ids,) = encoder.tokenize([rendered])
        header = ids[len(one.prompt) :]
        if len(header) and np.array_equal(ids[: len(one.prompt)], one.prompt):
            rows.append(header)
    return rows


def _trailing(encoder: ConversationEncoder, messages: Prompt) -> tuple[int, ...]:
    text = render(encoder.tokenizer, messages)
    whole, bare = encoder.tokenize([text, encoder.cut(text)])
    return tuple(_ints(whole[len(bare) :])) if np.array_equal(whole[: len(bare)], bare) else ()
