"""Whether the gate still listens to the prompt: entropy, share of the top objective, spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP_SHARE = 0.9
"""An objective that leads on more than this share of prompts with more than this weight is a collapse."""


@dataclass(frozen=True, slots=True)
class GateSummary:
    """The gate's weights over a set of prompts."""

    objectives: int
    entropy: float
    """Mean entropy of the weights, in units of log k: 1 is uniform, 0 is one objective."""
    top_share: float
    """Mean weight of the prompt's strongest objective."""
    leading: dict[str, float]
    """Objective -> share of prompts on which it is the strongest; those that lead somewhere."""
    negative: float
    """Share of prompts on which the weights sum to less than zero: each objective counts against a response."""
    prompts: int
    spread: float
    """Mean standard deviation of an objective's weight over the prompts, times k: 0 where the gate gives
    every prompt the same weights."""

    def warning(self) -> str | None:
        """One sentence if the gate has collapsed, and what to do."""
        if self.negative > 0:
            return (
                f"on {self.negative:.0%} of prompts the weights are negative, so that a better rated response scores"
                " lower: the pairs contradict the ratings; check which side of each pair set is the chosen one"
            )
        if self.objectives == 1:
            return None
        name, share = max(self.leading.items(), key=lambda item: item[1])
        if share > TOP_SHARE and self.top_share > TOP_SHARE:
            return (
                f"the gate has collapsed onto {name} ({share:.0%} of prompts, mean weight {self.top_share:.2f}):"
                " set gate.scale_start to 'fitted', raise gate.scale_learning_rate, gate.temperature or"
                " gate.weight_decay, or add other pair sets"
            )
        if self.prompts > 1 and self.spread < 1e-3:
            return (
                f"the gate gives every prompt the same weights (spread {self.spread:.1e}):"
                " train longer, raise gate.learning_rate, or lower gate.temperature"
            )
        return None


def summarise(weights: NDArray[np.floating], objectives: tuple[str, ...]) -> GateSummary:
    """Summary of weights (prompts, k)."""
    shares = weights / weights.sum(axis=-1, keepdims=True)  # (n, k)
    k = shares.shape[-1]
    entropy = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=-1) / (np.log(k) if k > 1 else 1.0)  # (n,)
    leaders, counts = np.unique(shares.argmax(axis=-1), return_counts=True)
    leading = {objectives[leader]: float(count / len(shares)) for leader, count in zip(leaders, counts, strict=True)}
    return GateSummary(
        objectives=k,
        negative=float((weights.sum(axis=-1) < 0).mean()),
        prompts=len(weights),
        entropy=float(entropy.mean()),
        top_share=float(shares.max(axis=-1).mean()),
        leading=dict(sorted(leading.items(), key=lambda item: -item[1])),
        spread=float(shares.std(axis=0).mean() * k),
    )
