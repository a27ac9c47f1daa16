"""Length and style bias of rules: accuracy where the chosen response has more of something, and where it has less."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Estimate, Interval, reweighted, where_judged
from evaluation.pairs import PairScores
from evaluation.weighted_ranks import Ranks, pearson

RANK_RESAMPLES = 200
"""Number of draws; each draw ranks all pairs again, for each rule."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A rule on the pairs of one slice."""

    pairs: int
    right: Interval


@dataclass(frozen=True, slots=True)
class LengthBias:
    """A rule on the pairs it scored; a tie is wrong."""

    slices: dict[str, Slice]
    """chosen_longer, chosen_shorter, same_length -> metrics; slices that have pairs."""
    prefers_longer: Interval | None
    """Fraction of pairs whose longer response scores higher, over pairs of two lengths; None without such pairs."""
    chosen_longer: float | None
    """Value of `prefers_longer` for a rule that is always right."""
    correlation: Estimate
    """Spearman correlation of the score gap with the gap in tokens."""


@dataclass(frozen=True, slots=True)
class StyleBias:
    """A rule on the pairs it scored, by the number of one mark of style; a tie is wrong."""

    slices: dict[str, Slice]
    """chosen_more, chosen_fewer, same_number -> metrics; slices that have pairs."""
    prefers_more: Interval | None
    """Fraction of pairs whose response with more marks scores higher, over pairs with two numbers; None without any."""
    chosen_more: float | None
    """Value of `prefers_more` for a rule that is always right."""


def length_bias(pairs: PairScores, seed: int = 0) -> dict[str, LengthBias]:
    """Length bias of every rule that scored a pair; intervals by bootstrap over prompts."""
    preferences = _preferences(pairs, pairs.length_gaps, ("chosen_longer", "chosen_shorter", "same_length"), seed)
    return {
        rule: LengthBias(*preferences[rule], correlation)
        for rule, correlation in _correlations(pairs, pairs.prompt[pairs.row], seed).items()
    }


def style_bias(pairs: PairScores, seed: int = 0) -> dict[str, dict[str, StyleBias]]:
    """Rule that scored a pair -> mark of style -> its bias; intervals by bootstrap over prompts."""
    found: dict[str, dict[str, StyleBias]] = {}
    for mark, gaps in pairs.style_gaps.items():
        for rule, preference in _preferences(pairs, gaps, ("chosen_more", "chosen_fewer", "same_number"), seed).items():
            found.setdefault(rule, {})[mark] = StyleBias(*preference)
    return found


Preference = tuple[dict[str, Slice], Interval | None, float | None]
"""Slices, how often a rule prefers the response with more, and how often that is right."""


def _preferences(
    pairs: PairScores, gaps: NDArray[np.int64], names: tuple[str, str, str], seed: int
) -> dict[str, Preference]:
    """Every rule that scored a pair, by the gaps (p,) of something between the two responses.

    Args:
        pairs: the pairs.
        gaps: (p,) amount in the chosen response less that in the rejected.
        names: of the slices with a positive, a negative and no gap.
        seed: seed of the draws.
    """
    prompt = pairs.prompt[pairs.row]  # (p,)
    signs = np.sign(gaps)  # (p,)
    masks = dict(zip(names, (signs > 0, signs < 0, signs == 0), strict=True))
    right = {rule: _unless_missing(pairs.of(rule) > 0, pairs.of(rule)) for rule in pairs.rules}
    slices = {name: where_judged(_rows(right, mask), prompt[mask], seed) for name, mask in masks.items() if mask.any()}
    unequal = signs != 0
    more = {rule: _unless_missing(pairs.of(rule) * signs > 0, pairs.of(rule)) for rule in pairs.rules}
    preferences = where_judged(_rows(more, unequal), prompt[unequal], seed) if unequal.any() else {}
    return {
        rule: (
            {
                name: Slice(int((masks[name] & ~np.isnan(right[rule])).sum()), accuracies[rule])
                for name, accuracies in slices.items()
                if rule in accuracies
            },
            preferences.get(rule),
            float((signs[unequal & ~np.isnan(right[rule])] > 0).mean()) if rule in preferences else None,
        )
        for rule in pairs.rules
        if not np.isnan(right[rule]).all()
    }


def _unless_missing(outcome: NDArray[np.bool_], gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(gaps), np.nan, outcome)


def _rows(outcomes: dict[str, NDArray[np.float64]], mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    return {rule: values[mask] for rule, values in outcomes.items()}


def _correlations(pairs: PairScores, prompt: NDArray[np.int64], seed: int) -> dict[str, Estimate]:
    """Spearman's correlation of each rule that scored a pair; rules with the same pairs have the same draws."""
    alike: dict[bytes, list[str]] = {}
    for rule in pairs.rules:
        alike.setdefault((~np.isnan(pairs.of(rule))).tobytes(), []).append(rule)
    found: dict[str, Estimate] = {}
    for mask, rules in alike.items():
        rows = np.frombuffer(mask, dtype=np.bool_)
        if rows.any():
            spearman = _Spearman(pairs.length_gaps[rows], [pairs.of(rule)[rows] for rule in rules])
            found |= dict(zip(rules, reweighted(spearman, prompt[rows], seed, RANK_RESAMPLES), strict=True))
    return {rule: found[rule] for rule in pairs.rules if rule in found}


class _Spearman:
    """Rank correlations of several scores' gaps (p,) with one gap in length (p,), under weights."""

    def __init__(self, length_gaps: NDArray[np.int64], gaps: list[NDArray[np.float64]]) -> None:
        self._lengths = Ranks(length_gaps.astype(np.float64))
        self._gaps = [Ranks(values) for values in gaps]

    def __call__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        by_length = self._lengths.under(weights)
        return np.array([pearson(ranks.under(weights), by_length, weights) for ranks in self._gaps])
