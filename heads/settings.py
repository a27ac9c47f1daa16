"""`[heads]` and `[other_heads]`: how the objectives are fitted, and what is fitted beside them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class HeadSettings(BaseModel):
    """The ridge and the Bradley-Terry comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-3, 7)), min_length=1
    )
    """Ridge penalties to choose from, for each objective."""
    choose: Literal["validation", "gcv"] = "validation"
    """What a penalty is chosen by: the error on validation rows, or generalised cross-validation on the training
    rows, for recipes with few validation rows. Errors in reports are those on validation rows either way."""
    continuous: bool = False
    """Whether to look for the best penalty between those of `alphas` too."""
    dataset_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Rating set -> how many times each of its rows counts; 1 where not named, 0 leaves the set out."""
    objective_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Objective -> factor of its squared errors beside the penalty, which is therefore divided by it; 1 where not
    named."""
    layer: int | None = Field(default=None, ge=0)
    """Which of `backbone.layers` the heads read, by its place there, from 0; left out: all, one after the other."""
    joint_layers: bool = True
    """Whether statistics hold products between layers, which heads that read several need. Without, they take as
    many times less room as there are layers, and `layer` must be given."""
    uncertainty: bool = True
    """Whether to keep what standard errors and the flag for unfamiliar responses need: one triangular matrix for
    each set of objectives with the same rows and penalty (34 MB at 4,096 features)."""
    familiar_quantile: float = Field(default=0.99, gt=0, lt=1)
    """Share of the validation rows of each rating set that counts as familiar."""
    minimum_rows: int = Field(default=20, ge=2)
    """An objective with fewer rated training rows is not fitted."""
    bradley_terry_strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-4, 3)), min_length=1
    )
    """Inverse penalties (scikit-learn's C) of the plain Bradley-Terry head to choose from."""

    @model_validator(mode="after")
    def _layer_is_known(self) -> "HeadSettings":
        if not self.joint_layers and self.layer is None:
            raise ValueError("joint_layers = false needs layer: which layer the heads read")
        return self


class SlicSettings(BaseModel):
    """`[other_heads.slic]`: one linear score with a hinge on the margin of each pair."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-5, 2)), min_length=1
    )
    """Inverse penalties to choose from, by accuracy on the held-out pairs."""


class MlpSettings(BaseModel):
    """`[other_heads.mlp]`: one score through a hidden layer with SiLU, trained on the pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    hidden_size: int = Field(default=1024, ge=1)
    """Width of the hidden layer."""
    steps: int = Field(default=2000, ge=1)
    """Most steps; the learning rate falls to zero over them."""
    batch_pairs: int = Field(default=256, ge=1)
    """Pairs of a step."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Of AdamW at the first step."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Of AdamW."""
    check_every: int = Field(default=50, ge=1)
    """Steps between two looks at the held-out pairs."""
    patience: int = Field(default=10, ge=1)
    """Looks without a lower loss after which training stops."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the first weights and of the order of pairs; the same seed gives the same head on one machine."""


class OrdinalSettings(BaseModel):
    """`[other_heads.ordinal]`: for each objective a distribution over its rating levels, whose mean is the score."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=tuple(10.0**power for power in range(-2, 5)), min_length=1
    )
    """Penalties to choose from, by the likelihood of the held-out ratings."""


class OtherHeadSettings(BaseModel):
    """`[other_heads]`: heads that are fitted beside the ridge and the plain Bradley-Terry head, to compare."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    fit: tuple[Literal["slic", "mlp", "ordinal"], ...] = ()
    """Which of them; none by default, since the two-layer and the ordinal head take longer than all else."""
    layers: tuple[int, ...] = ()
    """Which of backbone.layers they read, side by side; empty: all."""
    slic: SlicSettings = SlicSettings()
    mlp: MlpSettings = MlpSettings()
    ordinal: OrdinalSettings = OrdinalSettings()

    @model_validator(mode="after")
    def _each_once(self) -> "OtherHeadSettings":
        for key, values in (("fit", self.fit), ("layers", self.layers)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key} names one of its values twice: take one of them out")
        return self
