"""From planted qualities to raw ratings: the qualities of each objective, bias, noise, scale."""

import random

from demo_corpus.planted import Qualities

LENGTH_BIAS = 0.3
"""Difference between a judge's ratings of the longest and the shortest answer of the same quality."""
NOISE = 0.11

OBJECTIVES: dict[str, dict[str, float]] = {
    "helpsteer-helpfulness": {"helpfulness": 1.0},
    "helpsteer-correctness": {"correctness": 1.0},
    "helpsteer-coherence": {"coherence": 1.0},
    "helpsteer-complexity": {"complexity": 1.0},
    "helpsteer-verbosity": {"verbosity": 1.0},
    "ultrafeedback-overall_score": {"helpfulness": 0.5, "instruction_following": 0.3, "coherence": 0.2},
    "ultrafeedback-instruction_following": {"instruction_following": 1.0},
    "ultrafeedback-truthfulness": {"truthfulness": 1.0},
    "ultrafeedback-honesty": {"honesty": 1.0},
    "ultrafeedback-helpfulness": {"helpfulness": 1.0},
    "beavertails-is_safe": {"safety": 1.0},
    "prometheus-score": {"helpfulness": 0.5, "instruction_following": 0.5},
    "argilla-overall_quality": {"helpfulness": 0.6, "coherence": 0.4},
    "argilla-judge_lm": {"helpfulness": 0.5, "instruction_following": 0.3, "truthfulness": 0.2},
    "code-complexity": {"complexity": 1.0},
    "code-style": {"style": 1.0},
    "code-explanation": {"explanation": 1.0},
    "code-instruction-following": {"instruction_following": 1.0},
    "code-readability": {"readability": 1.0},
}
"""The 19 objectives, in the order of the published checkpoint, and the weights of the qualities in each."""
UNBIASED = frozenset({"helpsteer-verbosity", "beavertails-is_safe"})
"""Objectives without length bias: verbosity is length itself, and raters of safety look at nothing else."""


def judged(objective: str, qualities: Qualities, rng: random.Random) -> float:
    """A judge's rating, from 0 to 1: quality plus length bias plus noise."""
    seen = sum(weight * getattr(qualities, name) for name, weight in OBJECTIVES[objective].items())
    if objective not in UNBIASED:
        seen += LENGTH_BIAS * (qualities.verbosity - 0.3)
    return float(min(1.0, max(0.0, seen + rng.gauss(0.0, NOISE))))


def on_scale(objective: str, qualities: Qualities, lowest: int, highest: int, rng: random.Random) -> int:
    """The judge's rating in whole points of a raw scale."""
    return lowest + round(judged(objective, qualities, rng) * (highest - lowest))


def in_halves(objective: str, qualities: Qualities, lowest: int, highest: int, rng: random.Random) -> float:
    """The judge's rating in half points of a raw scale."""
    return lowest + round(2 * judged(objective, qualities, rng) * (highest - lowest)) / 2
