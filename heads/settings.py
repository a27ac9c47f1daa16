"""`[heads]` and `[other_heads]`: settings of the heads, and of those that are compared with them."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo, create_model, model_validator

from heads.kinds.registry import NAMES, kind_of

PREFERENCE = "preference"
"""The one objective of a recipe that has no ratings and takes objectives from nowhere: the Bradley-Terry head."""

FOR_RATINGS = (
    *("alphas", "choose", "continuous", "dataset_weights", "objective_weights"),
    *("joint_layers", "familiar_quantile", "coverage", "minimum_rows"),
)
"""Keys of `[heads]` that mean nothing without ratings."""


class HeadSettings(BaseModel):
    """The linear heads: ridge regression on ratings, or, without `[[ratings]]`, heads from pairs or another model."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )

    taken_from: str | None = Field(default=None, alias="from", min_length=1)
    """Without `[[ratings]]`: take objectives, heads and scales from this folder: another run's (`runs/<name>`), one
    that `armorm export` wrote, or the published checkpoint's, all on the same backbone, read in the same way."""
    directions: int | None = Field(default=None, ge=1)
    """Without `[[ratings]]`: number of objectives found in the pairs themselves: principal directions of the
    differences between chosen and rejected features, called direction-1, direction-2, … by explained variance. With
    neither `from` nor `directions` there is one objective, `preference`: the Bradley-Terry head."""

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-3, 7)), min_length=1
    )
    """Ridge penalties to choose from, for each objective."""
    choose: Literal["validation", "gcv"] = "validation"
    """Criterion that selects alpha: the error on the validation rows, or generalised cross-validation on the training
    rows, for recipes with few validation rows. Errors in reports are those on validation rows either way."""
    continuous: bool = False
    """Whether to look for the best alpha between those of `alphas` too."""
    dataset_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Rating set -> weight of each of its rows; 1 where not named, 0 skips the set."""
    objective_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Objective -> factor of its squared errors relative to the penalty, which divides alpha; 1 where not named."""
    layer: int | None = Field(default=None, ge=0)
    """Index into `backbone.layers`, from 0, of the layer that the heads read; by default all, concatenated."""
    joint_layers: bool = True
    """Whether statistics hold products between layers, which heads that read several layers need. Without them,
    statistics of n layers take n times less room, and `layer` must be given."""
    uncertainty: bool = True
    """Whether to save the matrices from which standard errors and the flag for unfamiliar responses are computed: one
    for each set of objectives with the same rows and alpha (12.6 MB at 4,096 features, 4.2 MB at 1,024)."""
    familiar_quantile: float = Field(default=0.99, gt=0, lt=1)
    """Fraction of the validation rows that counts as familiar."""
    coverage: float = Field(default=0.9, gt=0, lt=1)
    """Fraction of new ratings that the intervals of predicted ratings are to contain."""
    minimum_rows: int = Field(default=20, ge=2)
    """An objective with fewer rated training rows is not fitted."""
    bradley_terry_C: tuple[Annotated[float, Field(gt=0)], ...] = Field(  # noqa: N815 - scikit-learn's name
        default=tuple(10.0**power for power in range(-4, 3)), min_length=1
    )
    """Inverse penalties (scikit-learn's C) of the plain Bradley-Terry head to choose from."""
    bradley_terry_center_rewards_coefficient: float = Field(default=0.0, ge=0)
    """Factor of the mean of (r_chosen + r_rejected)² in the plain Bradley-Terry head's loss, which draws its scores
    towards 0 (`center_rewards_coefficient` in TRL, where 0.01 is usual)."""

    @model_validator(mode="after")
    def _layer_is_known(self) -> "HeadSettings":
        if not self.joint_layers and self.layer is None:
            raise ValueError("joint_layers = false needs layer: set it to the one that the heads read")
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> "HeadSettings":
        if self.taken_from is not None and self.directions is not None:
            raise ValueError("give either from or directions: objectives come from one place")
        if self.taken_from is not None and self.layer is not None:
            raise ValueError(
                "layer has no meaning with from, whose heads come with the layers that they read: take it out"
            )
        return self

    def names_without_ratings(self) -> tuple[str, ...] | None:
        """Names of a recipe's objectives that no ratings define; None where only the folder in `from` knows them."""
        if self.taken_from is not None:
            return None
        return (PREFERENCE,) if self.directions is None else direction_names(self.directions)


def direction_names(count: int) -> tuple[str, ...]:
    """Names of the objectives that are directions, by explained variance."""
    return tuple(f"direction-{number}" for number in range(1, count + 1))


def _settings_of(name: str) -> Any:
    """Type and default of a kind's settings; its module is imported only for a recipe that names the kind."""

    def validated(value: Any, info: ValidationInfo) -> BaseModel | None:
        if value is None:  # from a dump of settings that do not name the kind
            return None
        settings: type[BaseModel] = kind_of(name).settings
        if info.mode == "json":  # a recipe: nothing is converted, as in its other tables
            return settings.model_validate_json(json.dumps(value), strict=True)
        return settings.model_validate(value)

    return Annotated[Any, PlainValidator(validated)], None


if TYPE_CHECKING:
    KindName = str
    _KindTables = BaseModel
else:
    KindName = Literal[NAMES]
    _KindTables = create_model("_KindTables", **{name: _settings_of(name) for name in NAMES})


class OtherHeadSettings(_KindTables):
    """`[other_heads]`: heads on the same features, to compare with the ridge and the plain Bradley-Terry head."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    fit: tuple[KindName, ...] = ()
    """Kinds to fit; none by default, since the two-layer and the ordinal head take longer than everything else."""
    layers: tuple[int, ...] = ()
    """Layers of backbone.layers that they read, concatenated; empty: all."""

    def of(self, name: str) -> BaseModel:
        """The settings of one kind."""
        given: BaseModel | None = getattr(self, name)
        return kind_of(name).settings() if given is None else given

    @model_validator(mode="after")
    def _with_defaults(self) -> "OtherHeadSettings":
        """Fill in the defaults of the kinds to fit, so that a digest of the settings covers them."""
        for name in self.fit:
            object.__setattr__(self, name, self.of(name))  # the model is frozen
        return self

    @model_validator(mode="after")
    def _each_once(self) -> "OtherHeadSettings":
        for key, values in (("fit", self.fit), ("layers", self.layers)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key} names one of its values twice: take one of them out")
        return self
