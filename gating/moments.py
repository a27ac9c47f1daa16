"""Means and standard deviations of rewards and scores on a reference set, as files hold them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST = 1e30
"""Bound of every size in a file: float32 holds it, and a reward over the smallest is still finite in float64."""

Size = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST)]
"""A standard deviation or a temperature that numbers are divided by."""


class Moments(BaseModel):
    """Mean and standard deviation of one number over the reference set."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    mean: float = Field(ge=-LARGEST, le=LARGEST)
    std: Size | None
    """Standard deviation (divided by n); None where the number does not vary, but for rounding."""


class ReferenceMoments(BaseModel):
    """Moments of every reward, of every debiased reward and of the score."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    responses: int = Field(ge=1)
    """Number of distinct responses of the rewards' moments."""
    rewards: dict[str, Moments]
    """Objective -> moments of its reward, before debiasing."""
    debiased: dict[str, Moments]
    """Objective -> moments of its reward after debiasing."""
    scored: int = Field(ge=0)
    """Number of these responses whose prompt has a feature in the store, which the score's moments need."""
    score: Moments | None
    """Moments of the score under the gate's own weights; None where `scored` is 0."""
