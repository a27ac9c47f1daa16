"""What a folder's config.json says of its reward model, beside what transformers reads there.

The published checkpoint names four numbers (`num_objectives`, `gating_temperature`, `gating_hidden_dim`,
`gating_n_hidden`). An exported folder has the same four, and a table `armorm` with what the published one leaves to its
readers: names, scales, layers, positions, origin.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cache import UserError
from extract.settings import BackboneSettings
from gating.settings import GateSettings
from heads.objectives import PUBLISHED_OBJECTIVES, Objective, Scale

SECTION = "armorm"
"""Key of the table in config.json."""

PUBLISHED_NUMBERS = {
    "num_objectives": "objectives",
    "gating_temperature": "temperature",
    "gating_hidden_dim": "hidden_size",
    "gating_n_hidden": "hidden_layers",
}
"""The published checkpoint's keys -> those of this project."""


class RewardConfig(BaseModel):
    """The table `armorm` of config.json. The defaults are what the published checkpoint is read with."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    objectives: tuple[str, ...] = ()
    """Names of the rows of `regression_layer.weight`."""
    scales: dict[str, Scale] = Field(default_factory=dict)
    """Objective -> the scale its ratings were on, where it is known."""
    verbosity: str = "helpsteer-verbosity"
    """What is taken out of the rewards: an objective, 'response_tokens' or 'none'."""
    layers: tuple[int, ...] = Field(default=(-1,), min_length=1)
    """Indices into the hidden states, read side by side."""
    position: Literal["end_of_turn", "last_token"] = "end_of_turn"
    """As in `[backbone]`."""
    special_tokens_in_text: Literal["skip", "keep"] = "skip"
    """As in `[backbone]`."""
    max_tokens: int | None = Field(default=None, ge=8)
    """A longer conversation is refused; left out: as many as the backbone has positions for."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """What the backbone computed in when the heads were fitted; left out: what its weights are stored in."""
    prompt_end: tuple[int, ...] = ()
    """Token ids around the end of the prompt: what closes the last user turn, and the header of the response."""
    prompt_end_offset: int = 0
    """How many of `prompt_end` belong to the prompt."""
    trailing: tuple[int, ...] = ()
    """Token ids that the template writes behind the closing token, which no feature is read at."""
    backbone: str = ""
    """What the features were read from: `org/name@commit`, or the digest of a folder."""
    fingerprint: str = ""
    """Of the features that the heads were fitted on."""
    recipe: str = ""
    """Digest of the recipe's settings."""

    @field_validator("special_tokens_in_text", mode="before")
    @classmethod
    def _as_named_before(cls, value: object) -> object:
        return "skip" if value == "quarantine" else value  # folders of version 0.1 have the former name


def read_config(folder: Path) -> tuple[RewardConfig, GateSettings]:
    """Read config.json of an exported folder, or of the published checkpoint.

    Raises:
        UserError: it is not there, not of a reward model of this kind, or damaged.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no {path}: name a folder that `armorm export` wrote") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): export or fetch the folder again") from None
    missing = [key for key in PUBLISHED_NUMBERS if not isinstance(values, dict) or key not in values]
    if missing:
        raise UserError(
            f"{path} is not that of an ArmoRM reward model, for it has no {missing[0]}: name a folder that"
            " `armorm export` wrote, or the published checkpoint's"
        )
    if not isinstance(values["num_objectives"], int) or values["num_objectives"] < 1:
        raise UserError(f"{path}: num_objectives is no number of objectives: export or fetch the folder again")
    try:
        config = RewardConfig.model_validate(values.get(SECTION, {}))
        gate = GateSettings(**{ours: values[key] for key, ours in PUBLISHED_NUMBERS.items() if key != "num_objectives"})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path}: {key}: {problem['msg']}: export or fetch the folder again") from None
    return _named(config, values, path), gate


def backbone_settings(folder: Path, config: RewardConfig, changed: dict[str, Any]) -> BackboneSettings:
    """`[backbone]` of a recipe that reads features as this reward model does.

    Args:
        folder: where it lies.
        config: its table.
        changed: settings in place of the table's.

    Raises:
        UserError: a setting is impossible.
    """
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = values.get("dtype") or values.get("torch_dtype") or "float32"
    settings = {
        "model": str(folder),
        "layers": config.layers,
        "dtype": config.dtype or stored,
        "max_tokens": config.max_tokens or values.get("max_position_embeddings", 4096),
        "position": config.position,
        "special_tokens_in_text": config.special_tokens_in_text,
    }
    try:
        return BackboneSettings.model_validate(settings | changed)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"{folder}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def _named(config: RewardConfig, values: dict[str, Any], path: Path) -> RewardConfig:
    """The table with names: the published ones for nineteen objectives without, else numbers."""
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
