"""Two responses to one prompt compared: the probability that the first is better, and whether to leave it open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cache.keys import token_key
from export.conversations import Conversation
from export.not_scorable import NotScorableError
from extract.encoded import Encoded
from gating.decision import probability_better
from gating.reward import Scored
from gating.steering import Steering

if TYPE_CHECKING:
    from export.reward_model import RewardModel


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


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Two responses to one prompt, whether or not the model holds its uncertainty; fields as in `Comparison`."""

    first: Scored
    second: Scored
    margin: float
    margin_std: float | None
    """None where the model holds no uncertainty."""
    probability: float | None
    """None likewise."""


def compare_each(
    model: "RewardModel",
    pairs: Sequence[tuple[Conversation, Conversation]],
    steering: Steering | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> list[ScoredPair | NotScorableError]:
    """Compare the two conversations of each pair; a pair of which one cannot be scored has the reason in its place.

    Args:
        model: the reward model.
        pairs: conversations that differ in their last turn alone.
        steering: a profile bound to the model, under whose weights both are scored; None: the gate's own. A veto is in
            the margin and not in its error.
        names: of the two responses, for reasons.
    """
    encoded = model.encode_all([one for pair in pairs for one in pair])
    features: dict[bytes, NDArray[np.float32]] | None = None if model.parts.uncertainty is None else {}
    scored = iter(model.score_encoded([one for one in encoded if isinstance(one, Encoded)], features))
    results = [model.steered(next(scored), steering) if isinstance(one, Encoded) else one for one in encoded]
    compared = [_pair(one, other, names) for one, other in zip(results[::2], results[1::2], strict=True)]
    known = {place: pair for place, pair in enumerate(compared) if isinstance(pair, ScoredPair)}
    if features is None or not known:
        return compared
    firsts, seconds = (
        np.stack([features[_key(encoded[2 * place + side])] for place in known]) for side in (0, 1)
    )  # (n, layers * d) each
    margins = np.array([pair.margin for pair in known.values()])  # (n,)
    assert model.parts.uncertainty is not None
    leverages = model.parts.uncertainty.margin_leverages(firsts, seconds)  # (n, f)
    coefficients = np.stack([pair.first.coefficients for pair in known.values()])  # (n, k)
    std = model.parts.score_std(leverages, coefficients)  # (n,)
    probability = probability_better(margins, std)  # (n,)
    for (place, pair), *values in zip(known.items(), std.tolist(), probability.tolist(), strict=True):
        compared[place] = ScoredPair(pair.first, pair.second, pair.margin, *values)
    return compared


def _pair(
    one: Scored | NotScorableError, other: Scored | NotScorableError, names: tuple[str, str]
) -> ScoredPair | NotScorableError:
    for name, result in zip(names, (one, other), strict=True):
        if isinstance(result, NotScorableError):
            return NotScorableError(f"'{name}' cannot be scored: {result}")
    assert isinstance(one, Scored)
    assert isinstance(other, Scored)
    return ScoredPair(one, other, one.score - other.score, None, None)


def _key(encoded: Encoded | NotScorableError) -> bytes:
    """The key of a response's feature."""
    assert isinstance(encoded, Encoded)
    return token_key(np.concatenate([encoded.prompt, encoded.responses[0]]))
