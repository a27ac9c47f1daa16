"""`[heads]`: how the objectives are fitted."""

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
