"""Steering: a score under a user's weights in place of the gate's, without a refit.

With the gate's weights g, a profile's weights w and the adjusted rewards r', a profile makes coefficients c of g:

    add       c = s (g + w)        multiply  c = s (g w)        replace  c = s w

s = sum |g| / sum |c| where the profile renormalises, and else 1. A preference direction v, with |v| = 1, replaces (DPA,
arXiv 2402.18571). The score is the sum of the terms c r', and of one term more where a reward is below a threshold of
the profile: the veto, which is what brings the sum down to the cap. So the terms sum to the score in every case.

The class, exported folders, the command line and the server steer with `steer`, after the model's pass.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.profile import Profile
from gating.reward import RewardParts, Scored, ScoreUncertainty, Steered, in_order
from heads.objectives import Scale

Column = NDArray[np.float64]
"""Shape (k,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """A profile bound to the objectives of a model."""

    profile: Profile
    objectives: tuple[str, ...]
    """Names of the k rewards."""
    weights: Column
    """(k,) w; of length 1 where the profile has a direction."""
    thresholds: Column
    """(k,) least reward that is not vetoed; -infinity where there is none."""

    @classmethod
    def of(cls, profile: Profile, objectives: tuple[str, ...], scales: Mapping[str, Scale]) -> "Steering":
        """Bind a profile.

        Args:
            profile: the profile.
            objectives: names of the model's k rewards.
            scales: objective -> scale of its ratings, where it is known.

        Raises:
            UserError: the profile is for a model with other objectives, names one that this model lacks, leaves none
                with a weight, or has a threshold as a rating of an objective without a known scale.
        """
        _refuse_another_model(profile, objectives)
        neutral = 1.0 if profile.mode == "multiply" else 0.0
        named = profile.direction or profile.weights
        weights = np.array([named.get(name, neutral) for name in objectives], dtype=np.float64)  # (k,)
        if profile.direction:
            weights /= math.hypot(*weights)
        if profile.mode == "multiply" and not weights.any():
            raise UserError(f"profile {profile.name!r} multiplies every weight with 0: leave one objective its weight")
        thresholds = np.full(len(objectives), -np.inf)
        if profile.vetoes is not None:
            for name, least in profile.vetoes.below.items():
                if profile.vetoes.unit == "rating":
                    if name not in scales:
                        raise UserError(
                            f"profile {profile.name!r} has a threshold for {name!r}, the scale of whose ratings is not"
                            " known: give it as a reward, with unit = 'reward'"
                        )
                    least = float(scales[name].target(np.array(least, dtype=np.float64)))
                thresholds[objectives.index(name)] = least
        return cls(profile, objectives, weights, thresholds)

    def coefficients(self, gate: NDArray[np.float32]) -> Column:
        """(k,) c of the gate's weights (k,); all 0 where g + w is 0 throughout, which no factor scales."""
        own = gate.astype(np.float64)  # (k,)
        profile = self.profile
        if profile.direction or profile.mode == "replace":
            steered = self.weights.copy()
        else:
            steered = own * self.weights if profile.mode == "multiply" else own + self.weights
        renormalise = not profile.direction if profile.renormalise is None else profile.renormalise
        size = np.abs(steered).sum()
        if renormalise and size > 0.0:
            steered *= np.abs(own).sum() / size
        return steered

    def vetoed(self, rewards: Column) -> tuple[str, ...]:
        """Objectives whose rewards (k,) are below their thresholds."""
        return tuple(self.objectives[place] for place in np.flatnonzero(rewards < self.thresholds))


def steer(parts: RewardParts, scored: Scored, steering: Steering) -> Scored:
    """A score under a profile.

    Args:
        parts: the model that gave the score.
        scored: the score under the gate's weights.
        steering: the profile, bound to this model.

    Returns:
        The score with steered terms; `steered` keeps those of the gate. `score_std` and `contribution_std` are those
        under the steered weights, before any veto.
    """
    coefficients = steering.coefficients(scored.weights)  # (k,)
    taken = parts.transform.penalties(scored.rewards[None], scored.measured)[0]  # (k,)
    gains, penalties = coefficients * scored.rewards, coefficients * taken  # (k,) each
    contributions = gains - penalties
    total = in_order(contributions)
    vetoed = steering.vetoed(scored.rewards)
    veto = 0.0
    if vetoed and steering.profile.vetoes is not None:
        veto = veto_term(total, steering.profile.vetoes.cap)
    return replace(
        scored,
        score=total + veto,
        gains=gains,
        penalties=penalties,
        contributions=contributions,
        uncertainty=None if scored.uncertainty is None else _spread(parts, scored.uncertainty, coefficients),
        steered=Steered(steering.profile.name, coefficients, veto, vetoed, scored.score, scored.contributions),
    )


def veto_term(total: float, cap: float) -> float:
    """The term, not positive, that brings a sum of terms down to the cap; 0 where the sum is not above it.

    The difference is rounded, so the last bit is moved until the sum with it is not above the cap either.
    """
    if not total > cap:
        return 0.0
    veto = cap - total
    while total + veto > cap:
        veto = math.nextafter(veto, -math.inf)
    return veto


def _spread(parts: RewardParts, known: ScoreUncertainty, coefficients: Column) -> ScoreUncertainty:
    """Standard errors under other coefficients (k,) than the gate's."""
    assert parts.uncertainty is not None
    leverages = np.zeros((1, len(parts.uncertainty.whitening)))  # (1, f)
    leverages[0, parts.uncertainty.factor_of] = known.leverage
    return replace(
        known,
        contribution_std=parts.uncertainty.combined_errors(leverages, parts.transform.terms(coefficients)),
        score_std=float(parts.score_std(leverages, coefficients[None])[0]),
    )


def _refuse_another_model(profile: Profile, objectives: Sequence[str]) -> None:
    made_for, there = set(profile.objectives), set(objectives)
    if made_for and made_for != there:
        other = min(made_for ^ there)
        lacking = "this one lacks" if other in made_for else "that one lacks"
        raise UserError(
            f"profile {profile.name!r} was made for another model: {lacking} the objective {other!r}; use the profile"
            " with its own model"
        )
    if unknown := sorted(profile.named - there):
        raise UserError(
            f"profile {profile.name!r} names {unknown[0]!r}, which is no objective of this model: choose from"
            f" {some_names(objectives)}"
        )


def some_names(objectives: Sequence[str]) -> str:
    """Names in a sentence, the first twenty."""
    shown = ", ".join(objectives[:20])
    return f"{shown} and {len(objectives) - 20} more" if len(objectives) > 20 else shown
