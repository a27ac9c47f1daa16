"""Whether the gate still listens to the prompt: entropy, weight of the top objective, spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLLAPSE = 0.9
"""A gate has collapsed if one objective leads on more than this fraction of prompts with more than this weight."""


@dataclass(frozen=True, slots=True)
class GateSummary:
    """The gate's weights over a set of prompts."""

    objectives: int
    entropy: float
    """Mean entropy of the weights, in units of log k: 1 is uniform, 0 is one objective."""
    top_share: float
    """Mean weight of each prompt's strongest objective, as a fraction of all weight."""
    leading: dict[str, float]
    """Objective -> fraction of prompts on which it is the strongest; only objectives that lead on a prompt."""
    negative: float
    """Fraction of prompts on which the weights sum to less than zero: each objective counts against a response."""
    prompts: int
    spread: float
    """Standard deviation of an objective's weight over the prompts, averaged over objectives, times k; 0 where the gate
    gives every prompt the same weights."""

    def warning(self) -> str | None:
        """One sentence with the remedy if the gate has collapsed; else None."""
        if self.negative > 0:
            return (
                f"on {self.negative:.0%} of prompts the weights are negative, so that higher rewards score"
                " lower: the pairs contradict the objectives; check which side of each pair set is the chosen one"
            )
        if self.objectives == 1:
            return None
        name, fraction = max(self.leading.items(), key=lambda item: item[1])
        if fraction > COLLAPSE and self.top_share > COLLAPSE:
            return (
                f"the gate has collapsed onto {name} ({fraction:.0%} of prompts, mean weight {self.top_share:.2f}):"
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
    """Summary of weights (n, k), one row for each prompt."""
    normed = weights / weights.sum(axis=-1, keepdims=True)  # (n, k)
    k = normed.shape[-1]
    entropy = -(normed * np.log(np.maximum(normed, 1e-30))).sum(axis=-1) / (np.log(k) if k > 1 else 1.0)  # (n,)
    leaders, counts = np.unique(normed.argmax(axis=-1), return_counts=True)
    leading = {objectives[leader]: float(count / len(normed)) for leader, count in zip(leaders, counts, strict=True)}
    return GateSummary(
        objectives=k,
        negative=float((weights.sum(axis=-1) < 0).mean()),
        prompts=len(weights),
        entropy=float(entropy.mean()),
        top_share=float(normed.max(axis=-1).mean()),
        leading=dict(sorted(leading.items(), key=lambda item: -item[1])),
        spread=float(normed.std(axis=0).mean() * k),
    )
