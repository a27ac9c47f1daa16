"""The number of `--unscorable`, where a protocol knows no error among its numbers."""

from dataclasses import dataclass

from gating.reward import logistic


@dataclass(frozen=True, slots=True)
class StandIn:
    """A number in the place of a score and of every reward; nothing was computed for it."""

    score: float
    tokens: int = 0

    @property
    def activated(self) -> float:
        """The logistic function of the number, as of a score."""
        return logistic(self.score)
