"""A reward model in a folder, ready to score text: `RewardModel.load(DIR).score(conversations)`.

The folder is one that `armorm export` wrote, or the published checkpoint's. No code in it is run, and nothing is
unpickled: the backbone is transformers' own class, the rest this project's.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from cache.errors import refusing
from export.comparison import Comparison, compare_each
from export.conversations import Conversation
from export.input_encoder import InputEncoder
from export.model_folder import REMEDY
from export.named_profiles import NamedProfiles
from export.not_scorable import NotFiniteError, NotScorableError
from export.reward_config import RewardConfig, backbone_settings, read_config
from export.reward_tensors import read_reward_parts
from export.scaled_rows import scaled_rows
from extract.backbone import Backbone, read_backbone
from extract.encoded import Encoded
from extract.engines.choice import choose_device, load_engine
from extract.engines.engine import Engine
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.settings import BackboneSettings, EngineName, ExtractSettings
from extract.style import style_counts
from extract.tokenizer import vocabulary_digest
from gating.decision import abstains
from gating.measured import Measured, needs_text
from gating.profile import Mode, Profile
from gating.reward import RewardParts, Scored
from gating.reward_scales import RewardScales
from gating.steering import Steering, steer

STYLED = "# Two ways\n\n1. **One**\n2. Another:\n\n```python\nx = [1]\n```\n\n- first\n  - second"
"""A response with every mark of style."""


class RewardModel(InputEncoder):
    """Scores conversations. Not for several threads at once: the backbone computes one pass at a time.

    Attributes:
        folder: the folder it was read from.
        config: names, scales, positions, origin.
        parts: heads, transform and gate.
        profiles: the folder's profiles by name, and others bound to this model.
        scales: the scales that its rewards can be had on.
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
        self.profiles = NamedProfiles.of(config, folder)
        self.scales = RewardScales(parts.objectives, config.scales, config.reference, config.score_temperature)
        super().__init__(backbone, settings)
        self._needs_text = needs_text(parts.transform.variables(parts.objectives))
        if self._needs_text:
            self._refuse_other_marks()
        self.dtype: str = settings.dtype
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
            _ = model.markers  # a template without them is refused here, not at the first text
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

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the rewards, in order."""
        return self.parts.objectives

    def score(
        self,
        conversations: Iterable[Conversation],
        *,
        weights: Mapping[str, float] | None = None,
        mode: Mode | None = None,
        profile: str | Path | Profile | None = None,
    ) -> list[Scored]:
        """Score conversations; those that share a prompt share its computation.

        Args:
            conversations: turns each, the last of them the assistant's.
            weights: objective -> weight, to steer the scores with.
            mode: how the weights meet the gate's: add, which is the default, multiply or replace.
            profile: in place of weights: the name of one of the folder's profiles, the path of a profile's file, or a
                profile.

        Raises:
            UserError: a conversation cannot be scored, where the sentence names the first one, counted from 0; or the
                weights or the profile do not fit this model.
        """
        steering = self.profiles.chosen(weights, mode, profile)
        results: list[Scored] = []
        for number, result in enumerate(self.score_each(conversations, steering)):
            if isinstance(result, NotScorableError):
                raise UserError(f"conversation {number} cannot be scored: {result}; change it or leave it out")
            results.append(result)
        return results

    def rewards(
        self,
        conversations: Iterable[Conversation],
        objectives: Sequence[str],
        *,
        scale: str = "raw",
        debiased: bool = False,
        unscorable: float | None = None,
    ) -> NDArray[np.float64]:
        """Some rewards of conversations on one scale; conversations that share a prompt share its computation.

        Args:
            conversations: turns each, the last of them the assistant's.
            objectives: names of m objectives, or `score`; their order is kept.
            scale: raw, rating, unit, centred, standardised or sigmoid (`gating/reward_scales.py`).
            debiased: whether rewards are those after debiasing.
            unscorable: what stands for each reward of a conversation that has no score; None: it is refused.

        Returns:
            (n, m)

        Raises:
            UserError: a conversation cannot be scored, as in `score`; or a name or the scale is not one of this model.
        """
        scaled = self.scales.chosen(objectives, scale, debiased=debiased)
        return scaled_rows(self.score_each(conversations), scaled, unscorable)

    def compare(
        self, prompt: Sequence[dict[str, str]], first: str, second: str, *, abstain_below: float = 0.5
    ) -> Comparison:
        """Compare two responses to one prompt.

        Args:
            prompt: messages, the last one the user's.
            first: a response.
            second: another.
            abstain_below: abstain where neither response is better with at least this probability, from 0.5 (never) to
                1.

        Raises:
            UserError: the model holds no standard errors, or a response cannot be scored.
            ValueError: `abstain_below` is not from 0.5 to 1.
        """
        if self.parts.uncertainty is None:
            raise UserError(
                f"{self.folder} holds no standard errors, without which responses cannot be compared: fit the heads"
                " with heads.uncertainty = true, and export the run without --without-uncertainty"
            )
        one, other = ([*prompt, {"role": "assistant", "content": response}] for response in (first, second))
        (found,) = compare_each(self, [(one, other)])
        if isinstance(found, NotScorableError):
            raise UserError(f"the responses cannot be compared: {found}; change them or the prompt")
        assert found.margin_std is not None
        assert found.probability is not None
        return Comparison(
            first=found.first,
            second=found.second,
            margin=found.margin,
            margin_std=found.margin_std,
            probability=found.probability,
            abstains=bool(abstains(np.array([found.probability]), abstain_below)[0]),
        )

    def score_each(
        self, conversations: Iterable[Conversation], steering: Steering | None = None
    ) -> list[Scored | NotScorableError]:
        """Score conversations; a conversation that cannot be scored has the reason in its place.

        Args:
            conversations: turns each, the last of them the assistant's.
            steering: a profile bound to this model (`profiles`); None: the gate's own weights.
        """
        encoded = self.encode_all(list(conversations))
        usable = [one for one in encoded if isinstance(one, Encoded)]
        scored = (self.steered(one, steering) for one in self.score_encoded(usable))
        return [next(scored) if isinstance(one, Encoded) else one for one in encoded]

    def steered(self, result: Scored | NotScorableError, steering: Steering | None) -> Scored | NotScorableError:
        """A result under a profile bound to this model; None changes nothing, and neither does a missing score."""
        if steering is None or isinstance(result, NotScorableError):
            return result
        with np.errstate(over="ignore", invalid="ignore"):  # looked at in `_finite`
            return _finite(steer(self.parts, result, steering))

    def score_encoded(
        self, encoded: Sequence[Encoded], kept: dict[bytes, NDArray[np.float32]] | None = None
    ) -> list[Scored | NotScorableError]:
        """Score results of `encode`, `encode_text` or `encode_ids`; one result for each, in order.

        `kept` takes in the features (layers * d,) of responses by key.
        """
        request = Request()
        requested = [request.add(one) for one in encoded]  # keys of prompt and response
        prompts = {prompt for prompt, _ in requested}
        responses = {response for _, (response,) in requested}
        rewards: dict[bytes, NDArray[np.float64]] = {}
        weights: dict[bytes, NDArray[np.float32]] = {}
        leverages: dict[bytes, NDArray[np.float64]] = {}
        packs = request.plan(set(map(bytes, request.keys())), self._pack_tokens)
        layouts = [request.layout(pack) for pack in packs]
        for layout, states in zip(layouts, self._engine.features(layouts), strict=True):
            features = states.reshape(len(states), -1)  # (m, layers * d)
            keys = [bytes(key) for key in layout.keys]
            with np.errstate(over="ignore", invalid="ignore"):  # looked at in `_scored`
                rewards.update(zip(keys, self.parts.rewards(features), strict=True))
                of_responses = [place for place, key in enumerate(keys) if key in responses]
                known = self.parts.leverages(features[of_responses])
                if kept is not None:
                    kept.update((keys[place], features[place].copy()) for place in of_responses)
                if known is not None:
                    leverages.update(zip((keys[place] for place in of_responses), known, strict=True))
            of_prompts = [place for place, key in enumerate(keys) if key in prompts]
            if of_prompts:
                gated = self.parts.weights(features[of_prompts])
                weights.update(zip((keys[place] for place in of_prompts), gated, strict=True))
        return [
            self._scored(one, rewards[response], weights[prompt], leverages.get(response))
            for one, (prompt, (response,)) in zip(encoded, requested, strict=True)
        ]

    def _scored(
        self,
        encoded: Encoded,
        rewards: NDArray[np.float64],
        weights: NDArray[np.float32],
        leverages: NDArray[np.float64] | None,
    ) -> Scored | NotScorableError:
        with np.errstate(over="ignore", invalid="ignore"):  # looked at in `_finite`
            scored = self.parts.score(rewards, weights, len(encoded.prompt), self._measured(encoded), leverages)
        return _finite(scored)

    def _measured(self, encoded: Encoded) -> Measured:
        (ids,) = encoded.responses
        return Measured.of_response(len(ids), self.markers.text_of(ids) if self._needs_text else None)

    def _refuse_other_marks(self) -> None:
        """Refuse a tokenizer that does not give back the marks of style that it was given."""
        encoded = self.encode([{"role": "user", "content": "Show me."}, {"role": "assistant", "content": STYLED}])
        if style_counts(self.markers.text_of(encoded.responses[0])) != style_counts(STYLED):
            raise UserError(
                f"the tokenizer in {self.folder} does not give back the Markdown of a response, which the rewards of"
                " this model are corrected by: fit it without marks of style in debiasing.verbosity"
            )


def _finite(scored: Scored) -> Scored | NotScorableError:
    if scored.not_finite is not None:
        return NotFiniteError(f"a value that is not finite is its {scored.not_finite}")
    return scored


def _check_tokenizer(folder: Path, config: RewardConfig, backbone: Backbone) -> None:
    """Refuse a tokenizer whose tokens are not those that the heads were fitted with."""
    if config.vocabulary and config.vocabulary != vocabulary_digest(backbone.tokenizer, backbone.vocabulary):
        raise UserError(f"the tokenizer in {folder} has other tokens than when the folder was exported: {REMEDY}")
