"""Results of training a gate: the selected gate, and the metrics of every seed."""

from dataclasses import dataclass

import numpy as np
import torch

from gating.gate import Gate
from gating.results import Metrics, SeedMetrics, Seeds


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed's metrics at its best step, and at all steps."""

    seed: int
    best: Metrics
    metrics: tuple[Metrics, ...]


@dataclass(frozen=True, slots=True)
class TrainedGate:
    """The gate of the selected seed, and how each seed did."""

    gate: Gate
    selected: SeedResult
    seeds: tuple[SeedResult, ...]
    tie_threshold: float | None
    """eta of the loss with ties, as learned; None without ties."""
    dtype: torch.dtype
    """Dtype of the hidden layers' products in training."""
    threads: int

    @property
    def best(self) -> Metrics:
        """Metrics of the gate."""
        return self.selected.best

    @property
    def metrics(self) -> tuple[Metrics, ...]:
        """Metrics of the selected seed at each evaluation."""
        return self.selected.metrics

    def seed_metrics(self) -> Seeds:
        """Every seed's metrics on the validation pairs, and how far their accuracies are apart."""
        accuracies = [result.best.accuracy for result in self.seeds]
        return Seeds(
            kept=self.selected.seed,
            accuracy_mean=float(np.mean(accuracies)),
            accuracy_spread=float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
            each=tuple(
                SeedMetrics(result.seed, best.step, best.train_loss, best.loss, best.accuracy)
                for result in self.seeds
                for best in [result.best]
            ),
        )
