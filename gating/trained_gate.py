"""What training a gate gives: the gate, and how it came to be the one that is kept."""

from dataclasses import dataclass

import torch

from gating.gate import Gate


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the held-out pairs."""

    step: int
    train_loss: float
    loss: float
    accuracy: float
    """Share of decided pairs judged right; a tie of the scores counts as wrong, as it does in the suites."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed's best look, and all its looks."""

    seed: int
    best: Look
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class TrainedGate:
    """The gate that is kept, and how each seed did."""

    gate: Gate
    kept: SeedResult
    seeds: tuple[SeedResult, ...]
    tie_threshold: float | None
    """eta of the loss with ties, as learned; None without."""
    dtype: torch.dtype
    """Of the hidden layers' products in training."""
    threads: int

    @property
    def best(self) -> Look:
        """The look whose gate is kept."""
        return self.kept.best

    @property
    def looks(self) -> tuple[Look, ...]:
        """All looks of the seed that is kept."""
        return self.kept.looks
