"""A reward model in a folder, ready to score text: `RewardModel.load(DIR).score(conversations)`.

The folder is one that `armorm export` wrote, or the published checkpoint's. No code in it is run, and nothing is
unpickled: the backbone is transformers' own class, the rest this project's.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cache import UserError
from cache.errors import refusing
from export.conversations import Conversation, prompt_and_response
from export.not_scorable import NotFiniteError, NotScorableError
from export.reward_config import RewardConfig, backbone_settings, read_config
from export.reward_headers import REMEDY
from export.reward_tensors import read_reward_parts
from export.turns import TurnMarkers
from extract.backbone import Backbone, read_backbone
from extract.encoded import Encoded, EncodedPrompt
from extract.engines.choice import choose_device, load_engine
from extract.engines.engine import Engine
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.records import Prompt
from extract.settings import BackboneSettings, EngineName, ExtractSettings
from extract.template.rendering import NotEncodableError
from extract.templating import ConversationEncoder
from extract.tokenizer import vocabulary_digest
from gating.reward import RewardParts, Scored


class RewardModel:
    """Scores conversations. Not for several threads at once: the backbone computes one pass at a time.

    Attributes:
        folder: the folder it was read from.
        config: names, scales, positions, origin.
        parts: heads, transform and gate.
        max_tokens: largest length of a conversation; a longer one has no score.
        dtype: dtype of the backbone's arithmetic.
    """

    def __init__(
        self,
        folder: Path,
        config: RewardConfig,
        parts: RewardParts,
        backbone: Backbone,
        settings: BackboneSettings,
        engine: Engine,
        pack_tokens: int,
    ) -> None:
        self.folder = folder
        self.config = config
        self.parts = parts
        self.max_tokens = settings.max_tokens
        self.dtype: str = settings.dtype
        self._position = settings.position
        self._vocabulary = backbone.vocabulary
        self._encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
        self._engine = engine
        self._pack_tokens = max(pack_tokens, settings.max_tokens)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        dtype: str | None = None,
        max_tokens: int | None = None,
        position: str | None = None,
        engine: EngineName | None = None,
        pack_tokens: int = 8192,
        compiled: bool = False,
    ) -> "RewardModel":
        """Read a folder.

        Args:
            folder: a folder that `armorm export` wrote, or the published checkpoint's.
            device: auto (the first CUDA device, else the CPU), or a name that torch knows.
            dtype: the backbone's dtype: float32, bfloat16 or float16; None: the folder's.
            max_tokens: largest length of a conversation; None: the folder's.
            position: end_of_turn or last_token; None: the folder's.
            engine: packed, padded or sequential; None: the folder's. Where packed fails its trial, padded runs.
            pack_tokens: largest number of tokens in one pass; raised to `max_tokens` where it is less.
            compiled: whether a GPU's full packs run compiled; compilation takes a minute.

        Raises:
            UserError: the folder is no reward model's, a file is damaged, or a setting is impossible on this machine.
        """
        folder = Path(folder)
        with refusing(f"the reward model in {folder} cannot be loaded", REMEDY):
            config, gate = read_config(folder)
            given = {"dtype": dtype, "max_tokens": max_tokens, "position": position}
            changed = {key: value for key, value in given.items() if value is not None}
            settings = backbone_settings(folder, config, changed)
            backbone = read_backbone(folder, config.backbone or str(folder), settings)
            _check_tokenizer(folder, config, backbone)
            parts = read_reward_parts(folder, config, gate, backbone.hidden_size)
            extract = ExtractSettings(
                pack_tokens=max(pack_tokens, settings.max_tokens), compile="auto" if compiled else "never"
            )
            loaded = load_engine(engine or config.engine, backbone, settings, extract, choose_device(device))
            model = cls(folder, config, parts, backbone, settings, loaded.engine, pack_tokens)
            _ = model._markers  # a template without them is refused here, not at the first text
        return model

    @classmethod
    def of_parts(
        cls,
        folder: Path,
        config: RewardConfig,
        parts: RewardParts,
        backbone: Backbone,
        settings: BackboneSettings,
        extract: ExtractSettings,
    ) -> "RewardModel":
        """A reward model that is not in a folder of its own, with the engine that computes one sequence at a time.

        Args:
            folder: named in errors.
            config: names, scales, positions, origin.
            parts: heads, transform and gate.
            backbone: the decoder and its tokenizer.
            settings: how features are read.
            extract: device and pack size.
        """
        engine = SequentialEngine(backbone, settings, extract, choose_device(extract.device))
        return cls(folder, config, parts, backbone, settings, engine, extract.pack_tokens)

    @cached_property
    def _markers(self) -> TurnMarkers:
        """Where the prompt ends in templated text; a recipe's model that scores conversations needs none."""
        return TurnMarkers.of(self._encoder, self._position)

    @property
    def tokens_of_a_turn(self) -> int:
        """Smallest number of tokens that a turn can have."""
        return self._encoder.tokens_of_a_turn

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the rewards, in order."""
        return self.parts.objectives

    def encode(self, conversation: Conversation) -> Encoded:
        """A conversation as token ids of its prompt and of its response, through the chat template.

        Raises:
            NotScorableError: the conversation does not end with an assistant turn, is empty, too long, or spells a
                special token.
        """
        (encoded,) = self._encode_all([conversation])
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
            NotScorableError: the text has no assistant turn, is empty, or too long.
        """
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
        encoded = self._markers.split(row.astype(np.uint32))
        bos = self._encoder.tokenizer.bos_token_id
        if bos is not None and encoded.prompt[:2].tolist() == [bos, bos]:
            raise NotScorableError("it begins with two BOS tokens")
        tokens = len(encoded.prompt) + len(encoded.responses[0])
        if tokens > self.max_tokens:
            raise NotScorableError(f"{tokens} tokens, more than the {self.max_tokens} allowed")
        return encoded

    def score(self, conversations: Iterable[Conversation]) -> list[Scored]:
        """Score conversations; those that share a prompt share its computation.

        Raises:
            UserError: a conversation cannot be scored; the sentence names the first one, counted from 0.
        """
        results: list[Scored] = []
        for number, result in enumerate(self.score_each(conversations)):
            if isinstance(result, NotScorableError):
                raise UserError(f"conversation {number} cannot be scored: {result}; change it or leave it out")
            results.append(result)
        return results

    def score_each(self, conversations: Iterable[Conversation]) -> list[Scored | NotScorableError]:
        """Score conversations; a conversation that cannot be scored has the reason in its place."""
        encoded = self._encode_all(list(conversations))
        usable = [one for one in encoded if isinstance(one, Encoded)]
        scored = iter(self.score_encoded(usable))
        return [next(scored) if isinstance(one, Encoded) else one for one in encoded]

    def score_encoded(self, encoded: Sequence[Encoded]) -> list[Scored | NotScorableError]:
        """Score results of `encode`, `encode_text` or `encode_ids`; one result for each, in order."""
        request = Request()
        requested = [request.add(one) for one in encoded]  # keys of prompt and response
        prompts = {prompt for prompt, _ in requested}
        rewards: dict[bytes, NDArray[np.float64]] = {}
        weights: dict[bytes, NDArray[np.float32]] = {}
        packs = request.plan(set(map(bytes, request.keys())), self._pack_tokens)
        layouts = [request.layout(pack) for pack in packs]
        for layout, states in zip(layouts, self._engine.features(layouts), strict=True):
            features = states.reshape(len(states), -1)  # (m, layers * d)
            keys = [bytes(key) for key in layout.keys]
            with np.errstate(over="ignore", invalid="ignore"):  # looked at in `_scored`
                rewards.update(zip(keys, self.parts.rewards(features), strict=True))
            of_prompts = [place for place, key in enumerate(keys) if key in prompts]
            if of_prompts:
                gated = self.parts.weights(features[of_prompts])
                weights.update(zip((keys[place] for place in of_prompts), gated, strict=True))
        return [
            self._scored(one, rewards[response], weights[prompt])
            for one, (prompt, (response,)) in zip(encoded, requested, strict=True)
        ]

    def _scored(
        self, encoded: Encoded, rewards: NDArray[np.float64], weights: NDArray[np.float32]
    ) -> Scored | NotScorableError:
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            scored = self.parts.score(rewards, weights, len(encoded.prompt), len(encoded.responses[0]))
        if scored.not_finite is not None:
            return NotFiniteError(f"a value that is not finite is its {scored.not_finite}")
        return scored

    def _encode_all(self, conversations: Sequence[Conversation]) -> list[Encoded | NotScorableError]:
        results: list[Encoded | NotScorableError] = [NotScorableError()] * len(conversations)
        places: list[int] = []
        turns: list[tuple[Prompt, tuple[str, ...]]] = []
        for number, conversation in enumerate(conversations):
            try:
                turns.append(prompt_and_response(conversation))
                places.append(number)
            except NotScorableError as reason:
                results[number] = reason
        for number, encoded in zip(places, self._encoder.encode(turns), strict=True):
            results[number] = encoded if isinstance(encoded, Encoded) else NotScorableError(str(encoded))
        return results


def _check_tokenizer(folder: Path, config: RewardConfig, backbone: Backbone) -> None:
    """Refuse a tokenizer whose tokens are not those that the heads were fitted with."""
    if config.vocabulary and config.vocabulary != vocabulary_digest(backbone.tokenizer, backbone.vocabulary):
        raise UserError(f"the tokenizer in {folder} has other tokens than when the folder was exported: {REMEDY}")
