"""The three forms of input as token ids: conversations, text that the chat template has written, and token ids."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from export.conversations import Conversation, prompt_and_response
from export.not_scorable import NotScorableError
from export.turns import TurnMarkers
from extract.backbone import Backbone
from extract.checks import length_fault, text_fault
from extract.encoded import Encoded, EncodedPrompt
from extract.records import Prompt
from extract.settings import BackboneSettings
from extract.template.rendering import NotEncodableError
from extract.templating import ConversationEncoder


class InputEncoder:
    """Encodes inputs of a reward model, or gives the reason why one cannot be scored.

    Args:
        backbone: has the tokenizer.
        settings: how features are read.

    Attributes:
        max_tokens: largest length of a conversation; a longer one has no score.
    """

    def __init__(self, backbone: Backbone, settings: BackboneSettings) -> None:
        self.max_tokens = settings.max_tokens
        self._position = settings.position
        self._vocabulary = backbone.vocabulary
        self._encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)

    @cached_property
    def markers(self) -> TurnMarkers:
        """Where the prompt ends in templated text; a recipe's model that scores conversations needs none."""
        return TurnMarkers.of(self._encoder, self._position)

    @property
    def tokens_of_a_turn(self) -> int:
        """Smallest number of tokens that a turn can have."""
        return self._encoder.tokens_of_a_turn

    def encode(self, conversation: Conversation, *, empty: bool = False) -> Encoded:
        """A conversation as token ids of its prompt and of its response, through the chat template.

        Args:
            conversation: the turns.
            empty: whether turns may be empty, as in suites, whose official scripts score them.

        Raises:
            NotScorableError: the conversation does not end with an assistant turn, is empty, too long, or spells a
                special token.
        """
        (encoded,) = self.encode_all([conversation], empty=empty)
        if isinstance(encoded, NotScorableError):
            raise encoded
        return encoded

    def encode_prompt(self, prompt: Prompt) -> EncodedPrompt:
        """The turns before a response, to be followed by any number of responses without being tokenised again.

        Raises:
            NotScorableError: a turn is empty or spells a special token, they are too long, or the last is no user's.
        """
        try:
            return self._encoder.encode_prompt(prompt)
        except NotEncodableError as reason:
            raise NotScorableError(str(reason)) from None

    def encode_response(self, prompt: EncodedPrompt, response: str) -> Encoded:
        """A response to an encoded prompt, as `encode` encodes the whole conversation.

        Raises:
            NotScorableError: it is empty, too long with its prompt, or spells a special token.
        """
        try:
            return self._encoder.encode_response(prompt, response)
        except NotEncodableError as reason:
            raise NotScorableError(str(reason)) from None

    def encode_text(self, text: str) -> Encoded:
        """A whole conversation that the chat template has written; only a missing BOS is added.

        Raises:
            NotScorableError: the text has no assistant turn, is no text, is empty, or too long.
        """
        if fault := text_fault(text):
            raise NotScorableError(f"it {fault}")
        text = self._encoder.cut(text)
        if padding := self._encoder.tokenizer.pad_token:  # else a missing BOS would be put before the padding
            start = 0
            while text.startswith(padding, start):
                start += len(padding)
            text = text[start:]
        (ids,) = self._encoder.tokenize([text])
        return self.encode_ids(ids)

    def encode_ids(self, ids: ArrayLike) -> Encoded:
        """A whole conversation as token ids, padded or not.

        Raises:
            NotScorableError: the ids have no assistant turn, are empty, too many, or not all tokens.
        """
        row = np.asarray(ids)
        if row.size == 0:
            raise NotScorableError("it is empty")
        if row.ndim != 1 or not np.issubdtype(row.dtype, np.integer):
            raise NotScorableError("the token ids are not one row of whole numbers")
        if not 0 <= int(row.min()) <= int(row.max()) < self._vocabulary:
            raise NotScorableError(f"a token id is not one of the {self._vocabulary} that the backbone knows")
        encoded = self.markers.split(row.astype(np.uint32))
        bos = self._encoder.tokenizer.bos_token_id
        if bos is not None and encoded.prompt[:2].tolist() == [bos, bos]:
            raise NotScorableError("it begins with two BOS tokens")
        if fault := length_fault(len(encoded.prompt) + len(encoded.responses[0]), self.max_tokens):
            raise NotScorableError(f"the conversation {fault}")
        return encoded

    def encode_all(
        self, conversations: Sequence[Conversation], *, empty: bool = False
    ) -> list[Encoded | NotScorableError]:
        """As `encode`, for many conversations, which takes less time; a reason stands in the place of token ids."""
        results: list[Encoded | NotScorableError] = [NotScorableError()] * len(conversations)
        places: list[int] = []
        turns: list[tuple[Prompt, tuple[str, ...]]] = []
        for number, conversation in enumerate(conversations):
            try:
                turns.append(prompt_and_response(conversation))
                places.append(number)
            except NotScorableError as reason:
                results[number] = reason
        for number, encoded in zip(places, self._encoder.encode(turns, empty=empty), strict=True):
            results[number] = encoded if isinstance(encoded, Encoded) else NotScorableError(str(encoded))
        return results
