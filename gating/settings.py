"""`[debiasing]` and `[gate]`: how verbosity is taken out of rewards, and how rewards are weighted."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from extract.style import STYLE

RESPONSE_TOKENS = "response_tokens"
"""Verbosity as the measured length of the response, in thousands of tokens."""

MEASURED = (RESPONSE_TOKENS, *STYLE)
"""Variables that are measured in the response, rather than predicted by a head."""

NO_VERBOSITY = "none"
"""Setting under which nothing is taken out of the rewards."""

Verbosity = str | tuple[str, ...]
"""One variable, several, or 'none'."""


def variables_of(verbosity: Verbosity) -> tuple[str, ...]:
    """The variables that a setting names; none for 'none'."""
    named = (verbosity,) if isinstance(verbosity, str) else verbosity
    return tuple(name for name in named if name != NO_VERBOSITY)


def in_order(variables: Sequence[str], objectives: Sequence[str]) -> tuple[str, ...]:
    """Variables in the order of tables and stored arrays: that of `MEASURED`, then that of the objectives."""
    return tuple(sorted(variables, key=[*MEASURED, *objectives].index))


def unknown_variable(verbosity: Verbosity, objectives: Sequence[str]) -> str | None:
    """The first variable that is neither measured nor one of the objectives; None if there is none."""
    return next((name for name in variables_of(verbosity) if name not in (*MEASURED, *objectives)), None)


def verbosity_of(variables: Sequence[str]) -> Verbosity:
    """The setting that names these variables."""
    return tuple(variables) if len(variables) > 1 else (variables[0] if variables else NO_VERBOSITY)


def checked_verbosity(given: object) -> Verbosity:
    """A setting that names one variable, or a list of some, each once, and 'none' alone.

    Raises:
        ValueError: it does not.
    """
    if isinstance(given, str):
        return given
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise ValueError("it is neither the name of a variable nor a list of names: write one of the two")
    if not given:
        raise ValueError(f"it is an empty list: name a variable, or '{NO_VERBOSITY}'")
    if twice := [name for number, name in enumerate(given) if name in given[:number]]:
        raise ValueError(f"it names {twice[0]!a} twice: take one of them out")
    if NO_VERBOSITY in given and len(given) > 1:
        raise ValueError(f"'{NO_VERBOSITY}' takes nothing out and stands alone: take it or the others out of the list")
    return tuple(given)


class DebiasingSettings(BaseModel):
    """`[debiasing]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    verbosity: Verbosity = "helpsteer-verbosity"
    """The variable that is taken out of all rewards, or a list of several: an objective; 'response_tokens', the length
    of the response in thousands of tokens; 'markdown', 'lists' or 'code_fences', the marks of style in the response, as
    the logarithm of 1 + their number; or 'none': nothing is taken out. The default is an objective of the published
    nineteen: a recipe without it, as those without `[[ratings]]`, has to name another."""
    correlation: Literal["spearman", "pearson"] = "spearman"
    """The correlation that is brought to zero, with each variable."""
    method: Literal["root", "published_grid"] = "root"
    """'root': the lambda at which the correlation is zero; 'published_grid': the first of the reference code's
    24 values from 0 to 0.95 that brings the correlation down to `grid_threshold`, else 1; for one variable alone."""
    grid_threshold: float = 0.03
    """For 'published_grid': the correlation at which it stops; the reference script's own default."""
    reference: tuple[str, ...] = ()
    """Rating or pair sets whose training responses are the reference; empty: all pair sets."""

    @field_validator("verbosity", mode="before")
    @classmethod
    def _checked(cls, verbosity: object) -> Verbosity:
        return checked_verbosity(verbosity)

    @model_validator(mode="after")
    def _grid_of_one(self) -> "DebiasingSettings":
        if self.method == "published_grid" and len(variables_of(self.verbosity)) > 1:
            raise ValueError(
                "method = 'published_grid' is a search for one lambda: name one variable in verbosity, or take"
                " method = 'root'"
            )
        return self


class GateSettings(BaseModel):
    """`[gate]`. Width, depth, temperature: the published checkpoint's configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    hidden_size: int = Field(default=1024, ge=1)
    """Width of the hidden layers."""
    hidden_layers: int = Field(default=3, ge=0)
    """Number of hidden layers."""
    temperature: float = Field(default=10.0, gt=0)
    """The logits are divided by it before the softmax."""
    standardise: bool = True
    """Train on prompt features of mean 0 and spread 1. Afterwards the first layer absorbs both, so that the gate
    takes features as they are."""
    loss: Literal["bradley_terry", "bradley_terry_ties"] = "bradley_terry"
    """'bradley_terry' skips tied pairs; 'bradley_terry_ties' learns from them too (Rao and Kupper's model)."""
    ties: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> margin up to which its pairs are ties, on the scale of the set's own ratings. A margin of 0
    is a tie in every set."""
    margin: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> score difference that one unit of its pairs' rating margin asks for (as in Llama 2's loss);
    0 for sets not named and for pairs without a margin."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Fraction of decided pairs assumed to be labelled the wrong way round."""
    pair_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> weight of its pairs in the loss; 1 for sets not named; a set with weight 0 is not used. The weights
    that a set's own `weight_by` gives its pairs are multiplied with it."""
    center_rewards_coefficient: float = Field(default=0.0, ge=0)
    """Factor of the mean of (r_chosen + r_rejected)² in the loss, which draws scores towards 0 (the key of the same
    name in TRL, where 0.01 is usual)."""
    steps: int = Field(default=2000, ge=1)
    """Largest number of steps; the learning rate falls to zero over them."""
    batch_pairs: int = Field(default=1024, ge=1)
    """Number of pairs in a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of AdamW at the first step."""
    scale_start: Literal["fitted", "published"] = "fitted"
    """Initial logit scale. 'fitted': the scale at which equal weights make the training pairs most likely, at
    least 1; 'published': 1."""
    scale_learning_rate: float = Field(default=0.01, ge=0)
    """Learning rate of the logarithm of the logit scale. Rewards differ by tenths, so the scale has far to go; while it
    is small, the gate gains margin by giving all weight to one objective."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of hidden units set to zero at a step; the reference script's default is 0.2."""
    check_every: int = Field(default=50, ge=1)
    """Number of steps between two evaluations on the validation pairs."""
    patience: int = Field(default=10, ge=1)
    """Number of evaluations without improvement after which training stops."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Dtype of the hidden layers' products in training. 'auto': bfloat16 where the processor multiplies it in hardware
    and the gate is large enough to gain by it. Weights, loss and the trained gate are float32 in any case."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**62)
    """Seed of the initial weights and of the order of pairs; the same seed gives the same gate on one machine with
    the same number of threads."""
    seeds: int = Field(default=1, ge=1, le=64)
    """Number of gates trained side by side, with initial weights from `seed`, `seed` + 1, …; the best one on the
    validation pairs is selected, and the spread of their accuracies is reported."""
