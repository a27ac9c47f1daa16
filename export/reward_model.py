"""A reward model in a folder, ready to score text: `RewardModel.load(DIR).score(conversations)`.

The folder is one that `armorm export` wrote, or the published checkpoint's. No code in it is run, and nothing is
unpickled: the backbone is transformers' own class, the rest this project's.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cache import UserError
from export.reward_config import RewardConfig, backbone_settings, read_config
from export.reward_heads import RewardHeads
from export.scored import NotScorableError, Scored
from export.turns import TurnMarkers
from extract.backbone import Backbone, read_backbone
from extract.engines import ENGINES
from extract.engines.choice import choose_device, choose_engine
from extract.engines.engine import Engine
from extract.packing import Request
from extract.records import Message, Prompt, Role
from extract.settings import BackboneSettings, EngineName, ExtractSettings
from extract.templating import ConversationEncoder, Encoded

Conversation = Sequence[Message | Mapping[str, str]]
"""All turns, the last of them the assistant's: `Message`s, or dictionaries with `role` and `content`."""


class RewardModel:
    """Scores conversations. Not for several threads at once: the backbone computes one pass at a time.

    Attributes:
        folder: where it was read from.
        config: names, scales, positions, origin.
        heads: rewards, transform, gate.
        max_tokens: of a conversation; a longer one is refused.
        dtype: of the backbone's arithmetic.
    """

    def __init__(
        self,
        folder: Path,
        config: RewardConfig,
        heads: RewardHeads,
        backbone: Backbone,
        settings: BackboneSettings,
        engine: Engine,
        pack_tokens: int,
    ) -> None:
        self.folder = folder
        self.config = config
        self.heads = heads
        self.max_tokens = settings.max_tokens
        self.dtype: str = settings.dtype
        self._position = settings.position
        self._vocabulary = backbone.vocabulary
        self._encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
        self._markers = TurnMarkers.of(self._encoder, settings.position)
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
        engine: EngineName = "packed",
        pack_tokens: int = 8192,
        compiled: bool = False,
    ) -> "RewardModel":
        """Read a folder.

        Args:
            folder: that `armorm export` wrote, or the published checkpoint's.
            device: auto (the first CUDA device, else the CPU), or what torch calls it.
            dtype: of the backbone: float32, bfloat16 or float16; left out: what the folder says.
            max_tokens: of a conversation; left out: what the folder says.
            position: end_of_turn or last_token; left out: what the folder says.
            engine: packed, padded or sequential.
            pack_tokens: of one pass, at most, and at least `max_tokens`.
            compiled: whether a GPU's full packs run compiled, which takes a minute before it gains anything.

        Raises:
            UserError: it is no such folder, a file is damaged, or a setting is impossible here.
        """
        folder = Path(folder)
        config, gate = read_config(folder)
        given = {"dtype": dtype, "max_tokens": max_tokens, "position": position}
        settings = backbone_settings(folder, config, {key: value for key, value in given.items() if value is not None})
        heads = RewardHeads.read(folder, gate)
        backbone = read_backbone(folder, config.backbone or str(folder), settings)
        _check_widths(folder, config, heads, backbone)
        extract = ExtractSettings(
            pack_tokens=max(pack_tokens, settings.max_tokens), compile="auto" if compiled else "never"
        )
        loaded = ENGINES[choose_engine(engine, backbone)](backbone, settings, extract, choose_device(device))
        return cls(folder, config, heads, backbone, settings, loaded, pack_tokens)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the rewards, in their order."""
        return self.config.objectives

    def encode(self, conversation: Conversation) -> Encoded:
        """A conversation as token ids, templated, its prompt and its response apart.

        Raises:
            NotScorableError: it has no assistant turn at its end, is empty, too long, or spells a special token.
        """
        (encoded,) = self._encode_all([conversation])
        if isinstance(encoded, NotScorableError):
            raise encoded
        return encoded

    def encode_text(self, text: str) -> Encoded:
        """A whole conversation that is templated already; no special token is added but a missing BOS.

        Raises:
            NotScorableError: there is no assistant turn in it, it is empty, or too long.
        """
        if self._position == "end_of_turn":
            text = text.rstrip()
        padding = self._encoder.tokenizer.pad_token
        while padding and text.startswith(padding):  # else a missing BOS would be put in front of it
            text = text.removeprefix(padding)
        (ids,) = self._encoder.tokenize([text])
        return self.encode_ids(ids)

    def encode_ids(self, ids: ArrayLike) -> Encoded:
        """A whole conversation as token ids, padded or not.

        Raises:
            NotScorableError: there is no assistant turn in it, it is empty, too long, or an id is no token.
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
            UserError: one cannot be scored; the sentence names the first, counted from 0.
        """
        results: list[Scored] = []
        for number, result in enumerate(self.score_each(conversations)):
            if isinstance(result, NotScorableError):
                raise UserError(f"conversation {number} cannot be scored: {result}; change it or leave it out")
            results.append(result)
        return results

    def score_each(self, conversations: Iterable[Conversation]) -> list[Scored | NotScorableError]:
        """Score conversations; for one that cannot be, the reason in its place."""
        encoded = self._encode_all(list(conversations))
        usable = [one for one in encoded if isinstance(one, Encoded)]
        scored = iter(self.score_encoded(usable))
        return [next(scored) if isinstance(one, Encoded) else one for one in encoded]

    def score_encoded(self, encoded: Sequence[Encoded]) -> list[Scored | NotScorableError]:
        """Score what `encode`, `encode_text` or `encode_ids` gave, one result for each, in order."""
        request = Request()
        asked = [request.add(one) for one in encoded]
        prompts = {prompt for prompt, _ in asked}
        rewards: dict[bytes, NDArray[np.float64]] = {}
        weights: dict[bytes, NDArray[np.float32]] = {}
        packs = request.plan(set(map(bytes, request.keys())), self._pack_tokens)
        layouts = [request.layout(pack) for pack in packs]
        for layout, states in zip(layouts, self._engine.features(layouts), strict=True):
            features = states.reshape(len(states), -1)  # (m, layers * d)
            keys = [bytes(key) for key in layout.keys]
            rewards.update(zip(keys, self.heads.rewards(features), strict=True))
            own = [place for place, key in enumerate(keys) if key in prompts]
            if own:
                weights.update(zip((keys[place] for place in own), self.heads.weights(features[own]), strict=True))
        return [
            self._scored(one, rewards[response], weights[prompt])
            for one, (prompt, (response,)) in zip(encoded, asked, strict=True)
        ]

    def _scored(
        self, encoded: Encoded, rewards: NDArray[np.float64], weights: NDArray[np.float32]
    ) -> Scored | NotScorableError:
        if not (np.isfinite(rewards).all() and np.isfinite(weights).all()):
            return NotScorableError("the backbone gave a value that is not finite")
        tokens = len(encoded.responses[0])
        adjusted = self.heads.adjusted(rewards[None], np.asarray([tokens]))[0]  # (k,)
        contributions = weights.astype(np.float64) * adjusted  # (k,)
        prompt_tokens = len(encoded.prompt)
        score = sum(contributions.tolist())  # in order, as a reader of the terms would add them
        return Scored(score, rewards, adjusted, weights, contributions, prompt_tokens + tokens, prompt_tokens)

    def _encode_all(self, conversations: Sequence[Conversation]) -> list[Encoded | NotScorableError]:
        results: list[Encoded | NotScorableError] = [NotScorableError()] * len(conversations)
        places: list[int] = []
        turns: list[tuple[Prompt, tuple[str, ...]]] = []
        for number, conversation in enumerate(conversations):
            try:
                turns.append(_prompt_and_response(conversation))
                places.append(number)
            except NotScorableError as reason:
                results[number] = reason
        for number, encoded in zip(places, self._encoder.encode(turns), strict=True):
            results[number] = encoded if isinstance(encoded, Encoded) else NotScorableError(str(encoded))
        return results


def _prompt_and_response(conversation: Any) -> tuple[Prompt, tuple[str, ...]]:
    """A conversation from anywhere, checked turn by turn."""
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence) or not conversation:
        raise NotScorableError("it is not a list of turns")
    messages = tuple(_message(turn) for turn in conversation)
    if messages[-1].role != "assistant":
        raise NotScorableError("it does not end with an assistant turn")
    return messages[:-1], (messages[-1].content,)


def _message(turn: Any) -> Message:
    if isinstance(turn, Message):
        return turn
    if not isinstance(turn, Mapping) or not {"role", "content"} <= turn.keys():
        raise NotScorableError("a turn has no role or no content")
    role, content = turn["role"], turn["content"]
    if role not in get_args(Role):
        raise NotScorableError(f"a turn has the role {role!r}, not one of {', '.join(get_args(Role))}")
    if not isinstance(content, str):
        raise NotScorableError(f"the content of the {role} turn is not text")
    return Message(role, content)


def _check_widths(folder: Path, config: RewardConfig, heads: RewardHeads, backbone: Backbone) -> None:
    k, d = heads.weight.shape
    if k != len(config.objectives) or d != len(config.layers) * backbone.hidden_size:
        raise UserError(
            f"the heads in {folder} are {k} rows of {d} values, and its config.json says {len(config.objectives)} of"
            f" {len(config.layers) * backbone.hidden_size}: export or fetch the folder again"
        )
