"""Two responses to one prompt compared: the probability that the first is better, and whether to leave it open."""

from dataclasses import dataclass

from gating.reward import Scored


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two responses to one prompt."""

    first: Scored
    second: Scored
    margin: float
    """Score of the first response less that of the second."""
    margin_std: float
    """Standard error of the margin: what both scores have of the heads' errors in common cancels."""
    probability: float
    """Probability that the first response is better, given the errors of the heads' means; it does not say that people
    agree (`gating.decision`)."""
    abstains: bool
    """Whether neither response is better with the probability asked for."""
