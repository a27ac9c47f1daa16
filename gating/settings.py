"""`[debiasing]` and `[gate]`: how rewards are freed of verbosity, and how they are weighed."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RESPONSE_TOKENS = "response_tokens"
"""The verbosity that is measured instead of predicted."""


class DebiasingSettings(BaseModel):
    """`[debiasing]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    verbosity: str = "helpsteer-verbosity"
    """The objective whose share is taken out of all others; 'response_tokens': thousands of tokens of the
    response; 'none': nothing is taken out."""
    correlation: Literal["spearman", "pearson"] = "spearman"
    """Which correlation is brought to zero."""
    method: Literal["root", "published_grid"] = "root"
    """'root': the lambda at which the correlation is zero; 'published_grid': the first of the reference code's
    24 values from 0 to 0.95 that brings the correlation down to `grid_threshold`, else 1."""
    grid_threshold: float = 0.03
    """For 'published_grid': the correlation at which it stops; the reference script's own default."""
    reference: tuple[str, ...] = ()
    """Rating or pair sets whose training responses are the reference; empty: all pair sets."""


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
    """Train on prompt features of mean 0 and spread 1; the first layer takes it in afterwards, so that the
    gate reads features as they are."""
    loss: Literal["bradley_terry", "bradley_terry_ties"] = "bradley_terry"
    """'bradley_terry' leaves tied pairs out; 'bradley_terry_ties' learns from them too (Rao and Kupper's model)."""
    ties: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> margin up to which its pairs are ties, on the scale of the set's own ratings. A margin of 0
    is a tie in every set."""
    margin: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> score difference that one unit of its pairs' rating margin asks for (as in Llama 2's loss);
    0 for sets not named and for pairs without a margin."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of decided pairs taken to be labelled the wrong way round."""
    pair_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Pair set -> weight of its pairs in the loss; 1 for sets not named, and 0 leaves a set out of training."""
    steps: int = Field(default=2000, ge=1)
    """Most steps; the learning rate falls to zero over them."""
    batch_pairs: int = Field(default=1024, ge=1)
    """Pairs of a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Of AdamW at the first step."""
    scale_start: Literal["fitted", "published"] = "fitted"
    """Of the logit scale. 'fitted': the scale at which equal weights make the training pairs most likely, at
    least 1; 'published': 1."""
    scale_learning_rate: float = Field(default=0.01, ge=0)
    """Of the logarithm of the logit scale. Rewards differ by tenths, so the scale has far to go; while it is small,
    the gate gains margin by giving all weight to one objective."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of AdamW."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of hidden units left out at a step; the reference script's default is 0.2."""
    check_every: int = Field(default=50, ge=1)
    """Steps between two looks at the held-out pairs."""
    patience: int = Field(default=10, ge=1)
    """Looks without improvement after which training stops."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the hidden layers' products in training. 'auto': bfloat16 where the processor multiplies it in hardware
    and the gate is large enough to gain by it. Weights, loss and the trained gate are float32 in any case."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**62)
    """Of the first weights and of the order of pairs; the same seed gives the same gate on one machine with
    the same number of threads."""
    seeds: int = Field(default=1, ge=1, le=64)
    """Gates trained side by side, with first weights from `seed`, `seed` + 1, …; the best on held-out pairs
    is kept, and the spread of their accuracies is reported."""
