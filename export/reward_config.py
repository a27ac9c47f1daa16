"""The reward model's part of config.json, written for readers other than transformers.

The published checkpoint names four numbers (`num_objectives`, `gating_temperature`, `gating_hidden_dim`,
`gating_n_hidden`). An exported folder has the same four, and a table `armorm` with names, scales, layers, positions and
origin, which the published one leaves to its readers.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cache import UserError
from export.model_folder import PUBLISHED_NUMBERS, REMEDY, config_values
from export.reward_headers import REGRESSION, head_headers
from export.reward_intervals import IntervalsTable
from export.reward_uncertainty import UncertaintyTable
from export.turns import TurnMarkers
from extract.backbone import Backbone
from extract.settings import MOST_TOKENS, BackboneSettings, EngineName
from extract.template.facts import TemplateFacts
from extract.templating import ConversationEncoder
from extract.tokenizer import vocabulary_digest
from gating.moments import ReferenceMoments, Size
from gating.profile import Profile
from gating.reward import RewardParts
from gating.settings import GateSettings, Verbosity, checked_verbosity, unknown_variable, verbosity_of
from heads.objectives import PUBLISHED_OBJECTIVES, Objective, Scale

SECTION = "armorm"
"""Key of the table in config.json."""

TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class RewardConfig(BaseModel):
    """The table `armorm` of config.json. The defaults describe the published checkpoint."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    objectives: tuple[str, ...] = ()
    """Names of the rows of `regression_layer.weight`: different ones, of characters that print."""
    scales: dict[str, Scale] = Field(default_factory=dict)
    """Objective -> scale of its ratings, where it is known."""
    verbosity: Verbosity = "helpsteer-verbosity"
    """The variables that are taken out of the rewards, as `debiasing.verbosity` names them."""
    uncertainty: UncertaintyTable | None = None
    """Sizes of the tensors that standard errors are computed from; None where the folder holds none."""
    intervals: IntervalsTable | None = None
    """The intervals of the ratings; None where the folder holds none."""
    profiles: Annotated[tuple[Profile, ...], Field(max_length=64)] = ()
    """Profiles that requests can name, with different names."""
    reference: ReferenceMoments | None = None
    """Moments of rewards and scores on the reference set, which scales are made of; None in earlier folders."""
    score_temperature: Size | None = None
    """Divides score gaps so that their logistic function is a probability; None where none was fitted."""
    layers: tuple[int, ...] = Field(default=(-1,), min_length=1)
    """Indices into the hidden states, read side by side."""
    position: Literal["end_of_turn", "last_token"] = "end_of_turn"
    """As in `[backbone]`."""
    special_tokens_in_text: Literal["skip", "keep"] = "skip"
    """As in `[backbone]`."""
    max_tokens: int | None = Field(default=None, ge=8, le=MOST_TOKENS)
    """A longer conversation is refused; None: the backbone's number of positions."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """The backbone's dtype when the heads were fitted; None: the dtype of its stored weights."""
    features: int | None = Field(default=None, ge=1)
    """Width of a feature, all layers together; None: as many layers of the backbone's hidden size."""
    engine: Literal["packed", "padded", "sequential"] = "packed"
    """The engine that the backbone runs with. A packed one that fails its trial gives way to padded batches."""
    prompt_end: tuple[TokenId, ...] = ()
    """Token ids around the end of the prompt: the end of the last user turn, and the header of the response."""
    prompt_end_offset: int = Field(default=0, ge=0)
    """Number of tokens of `prompt_end` that belong to the prompt."""
    trailing: tuple[TokenId, ...] = ()
    """Token ids that the template writes after the closing token; no feature is read there."""
    template: TemplateFacts | None = None
    """The findings about the chat template; the folder's template itself holds its fixed date and takes plain text."""
    backbone: str = ""
    """Source of the features: `org/name@commit`, or the digest of a folder."""
    vocabulary: str = ""
    """Digest of the tokenizer's tokens and their ids; empty in folders of version 0.2 and earlier."""
    fingerprint: str = ""
    """Fingerprint of the features that the heads were fitted on."""
    recipe: str = ""
    """Digest of the recipe's settings."""

    @field_validator("special_tokens_in_text", mode="before")
    @classmethod
    def _as_named_before(cls, value: object) -> object:
        return "skip" if value == "quarantine" else value  # folders of version 0.1 have the former name

    @field_validator("objectives")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not (name.strip() and name.isprintable()):
                raise ValueError(f"{name!a} is no name that can be shown")
        if len(set(names)) < len(names):
            raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is the name of two objectives")
        return names

    @field_validator("verbosity", mode="before")
    @classmethod
    def _variables(cls, verbosity: object) -> Verbosity:
        return checked_verbosity(verbosity)

    @model_validator(mode="after")
    def _belongs_together(self) -> "RewardConfig":
        if self.objectives and (unknown := unknown_variable(self.verbosity, self.objectives)) is not None:
            raise ValueError(f"verbosity {unknown!a} is none of the objectives")
        moments = self.reference
        if moments is not None and not set(moments.rewards) == set(moments.debiased) == set(self.objectives):
            raise ValueError("the moments of the reference set are of other objectives")
        if self.prompt_end_offset > len(self.prompt_end):
            raise ValueError("prompt_end_offset is beyond the end of prompt_end")
        return self


def run_config(
    parts: RewardParts,
    scales: dict[str, Scale],
    settings: BackboneSettings,
    backbone: Backbone,
    *,
    engine: EngineName = "packed",
    fingerprint: str = "",
    recipe: str = "",
    profiles: tuple[Profile, ...] = (),
    reference: ReferenceMoments | None = None,
    score_temperature: float | None = None,
) -> RewardConfig:
    """The table of a run's reward model.

    Args:
        parts: the fitted reward model.
        scales: objective -> scale of its ratings, for those that have ratings.
        settings: how its features were read.
        backbone: the backbone they were read from.
        engine: the engine that read them.
        fingerprint: fingerprint of the features.
        recipe: digest of the recipe's settings.
        profiles: profiles that requests can name.
        reference: moments of its rewards and scores on the reference set.
        score_temperature: temperature of its score, if one was fitted.

    Raises:
        UserError: the chat template writes nothing between a prompt and its response.
    """
    encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
    markers = TurnMarkers.of(encoder, settings.position)
    return RewardConfig(
        objectives=parts.objectives,
        scales={name: scales[name] for name in parts.objectives if name in scales},
        verbosity=verbosity_of(parts.transform.variables(parts.objectives)),
        uncertainty=None if parts.uncertainty is None else UncertaintyTable.of(parts.uncertainty),
        intervals=None if parts.intervals is None else IntervalsTable(coverage=parts.intervals.coverage),
        profiles=profiles,
        reference=reference,
        score_temperature=score_temperature,
        layers=settings.layers,
        position=settings.position,
        special_tokens_in_text=settings.special_tokens_in_text,
        max_tokens=settings.max_tokens,
        dtype=settings.dtype,
        features=parts.weight.shape[1],
        engine=cast(Any, "packed" if engine == "vllm" else engine),  # vLLM is no engine of a reward model
        prompt_end=markers.prompt_end,
        prompt_end_offset=markers.offset,
        trailing=markers.trailing,
        template=encoder.facts,
        backbone=backbone.identity,
        vocabulary=vocabulary_digest(backbone.tokenizer, backbone.vocabulary),
        fingerprint=fingerprint,
        recipe=recipe,
    )


def read_config(folder: Path) -> tuple[RewardConfig, GateSettings]:
    """Read config.json of an exported folder, or of the published checkpoint.

    Raises:
        UserError: the file is missing, not that of a reward model of this kind, or damaged.
    """
    values, path = config_values(folder), folder / "config.json"
    count, stored = values["num_objectives"], head_headers(folder)[REGRESSION].shape[0]
    if type(count) is not int or count != stored:
        raise UserError(
            f"{path} says that num_objectives is {count!a:.80}, and {REGRESSION} has {stored} rows: {REMEDY}"
        )
    try:
        config = RewardConfig.model_validate(values.get(SECTION, {}))
        gate = GateSettings(**{ours: values[key] for key, ours in PUBLISHED_NUMBERS.items() if key != "num_objectives"})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path}: {key}: {problem['msg'].removeprefix('Value error, ')}: {REMEDY}") from None
    return _named(config, values, path), gate


def backbone_settings(folder: Path, config: RewardConfig, changed: dict[str, Any]) -> BackboneSettings:
    """The `[backbone]` settings under which features are read as this reward model needs them.

    Args:
        folder: the reward model's folder.
        config: its table `armorm`.
        changed: settings that replace the table's.

    Raises:
        UserError: a setting is impossible.
    """
    values: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = values.get("dtype") or values.get("torch_dtype") or "float32"
    settings = {
        "model": str(folder),
        "layers": config.layers,
        "dtype": config.dtype or stored,
        "max_tokens": config.max_tokens or values.get("max_position_embeddings") or 4096,
        "position": config.position,
        "special_tokens_in_text": config.special_tokens_in_text,
    }
    try:
        return BackboneSettings.model_validate(settings | changed)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{folder}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def _named(config: RewardConfig, values: dict[str, Any], path: Path) -> RewardConfig:
    """The table with names of objectives; where it has none, the published nineteen, or numbers."""
    count = values["num_objectives"]
    if config.objectives:
        if len(config.objectives) != count:
            raise UserError(
                f"{path} has {len(config.objectives)} names for {count} objectives: export the folder again"
            )
        return config
    if count == len(PUBLISHED_OBJECTIVES):
        names: dict[str, Objective] = {objective.name: objective for objective in PUBLISHED_OBJECTIVES}
        scales = {name: Scale(low=own.low, high=own.high, rule=own.rule) for name, own in names.items()}
        return config.model_copy(update={"objectives": tuple(names), "scales": scales})
    return config.model_copy(update={"objectives": tuple(f"objective-{number}" for number in range(count))})
