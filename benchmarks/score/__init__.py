"""`RewardModel.score` and `armorm score` beside transformers: `python -m benchmarks.score`."""

from benchmarks.score.figures import table

__all__ = ["table"]
