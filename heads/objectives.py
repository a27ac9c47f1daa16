"""Objectives and their rating scales; the nineteen of the published model as the default."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator


class Scale(BaseModel):
    """Map from a raw rating to a regression target between 0 and 1.

    `bin_centre`: (x - low + 0.5) / (high - low + 1), the centre of the rating's bin, for ratings in whole
    steps. It gives the published (x + 0.5) / 5 for HelpSteer's 0-4 and (x - 0.5) / 10 for UltraFeedback's
    1-10 (issue 57 of RLHFlow/RLHF-Reward-Modeling). `linear`: (x - low) / (high - low).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    low: float
    """Lowest rating of the scale."""
    high: float
    """Highest rating of the scale."""
    rule: Literal["bin_centre", "linear"] = "bin_centre"
    """Map from a rating to a target between 0 and 1."""

    @model_validator(mode="after")
    def _ordered(self) -> "Scale":
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        return self

    def target(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw ratings as targets; NaN stays NaN."""
        if self.rule == "linear":
            return (raw - self.low) / (self.high - self.low)
        return (raw - self.low + 0.5) / (self.high - self.low + 1.0)

    def raw(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Targets, or predictions of them, on the raw scale."""
        if self.rule == "linear":
            return target * (self.high - self.low) + self.low
        return target * (self.high - self.low + 1.0) + self.low - 0.5

    def raw_spread(self, spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """Differences or standard errors of targets, on the raw scale."""
        return spread * (self.high - self.low + (1.0 if self.rule == "bin_centre" else 0.0))


class Objective(Scale):
    """A named objective with the scale of its ratings.

    A recipe that names none has those of the published nineteen that its rating sets rate.
    """

    name: str
    """Name in tables, reports and explanations."""


def _on(low: float, high: float, *names: str) -> tuple[Objective, ...]:
    return tuple(Objective(name=name, low=low, high=high) for name in names)


PUBLISHED_OBJECTIVES: tuple[Objective, ...] = (
    *_on(
        0,
        4,
        "helpsteer-helpfulness",
        "helpsteer-correctness",
        "helpsteer-coherence",
        "helpsteer-complexity",
        "helpsteer-verbosity",
    ),
    *_on(1, 10, "ultrafeedback-overall_score"),
    *_on(
        1,
        5,
        "ultrafeedback-instruction_following",
        "ultrafeedback-truthfulness",
        "ultrafeedback-honesty",
        "ultrafeedback-helpfulness",
    ),
    Objective(name="beavertails-is_safe", low=0, high=1, rule="linear"),
    *_on(1, 5, "prometheus-score", "argilla-overall_quality"),
    *_on(1, 10, "argilla-judge_lm"),
    *_on(
        1,
        5,
        "code-complexity",
        "code-style",
        "code-explanation",
        "code-instruction-following",
        "code-readability",
    ),
)
"""In the order of the published checkpoint's rows. The scales of HelpSteer, of UltraFeedback's overall score
and of BeaverTails are the authors'; for the others bin centres of the scale the data set states are assumed."""
