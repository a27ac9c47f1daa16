"""Prompt features of mean 0 and spread 1 for training, folded into the gate's first layer afterwards.

A language model's states have a few columns a hundred times larger than the others; gradient descent then
follows those alone. The trained gate keeps the published shape: W ((x - mean) / spread) + b is
(W / spread) x + (b - (W / spread) mean), a layer over x itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gating.prompts import Prompts, blocks


@dataclass(frozen=True, slots=True)
class Standardising:
    """Mean and spread of each column."""

    mean: Tensor
    """(d,) float64"""
    spread: Tensor
    """(d,) float64 standard deviation; 1 for a column that does not vary."""

    @classmethod
    def fit(cls, prompts: Prompts, rows: Tensor) -> "Standardising":
        """Mean and spread over rows (u,) of prompts (p, d), in two passes of blocks in float64."""
        total, squares = torch.zeros(2, prompts.shape[-1], dtype=torch.float64)  # (d,) each
        for block in blocks(prompts, rows):
            total += block.double().sum(dim=0)
        mean = total / len(rows)
        for block in blocks(prompts, rows):
            squares += (block.double() - mean).square().sum(dim=0)
        spread = torch.sqrt(squares / len(rows))
        # Rounding leaves a constant column a spread of about 1e-16 of its value.
        constant = spread <= 1e-7 * mean.abs()
        return cls(mean, torch.where(constant, 1.0, spread))

    @classmethod
    def none(cls, d: int) -> "Standardising":
        """Mean 0 and spread 1, which leave features as they are."""
        return cls(torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64))

    def apply(self, prompts: Tensor, dtype: torch.dtype) -> Tensor:
        """Features (p, d) of any float dtype, standardised in float32. Shape (p, d), `dtype`."""
        standardised = prompts.to(torch.float32, copy=True)
        return standardised.sub_(self.mean.float()).mul_((1.0 / self.spread).float()).to(dtype)

    @torch.no_grad()
    def fold_into(self, layer: nn.Linear) -> None:
        """Change a layer that takes standardised features into one that takes features as they are."""
        weight = layer.weight.double() / self.spread  # (h, d)
        layer.bias.copy_(layer.bias.double() - weight @ self.mean)
        layer.weight.copy_(weight)
