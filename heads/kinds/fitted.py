"""The heads of `[other_heads]` as named arrays for one file, and what they say of responses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys
from heads.distributions import Distributions
from heads.kinds.fit import FittedPairwise, FittedRatings
from heads.kinds.kind import Arrays
from heads.kinds.registry import PAIRWISE, RATINGS


def arrays_of(pairwise: Mapping[str, FittedPairwise], ratings: Mapping[str, FittedRatings]) -> Arrays:
    """All heads' arrays for a file: `<kind>.<array>`, and `<kind>.<objective>.<array>`."""
    arrays = {f"{kind}.{name}": array for kind, head in pairwise.items() for name, array in head.arrays.items()}
    for kind, fitted in ratings.items():
        for objective, weights in fitted.arrays.items():
            arrays |= {f"{kind}.{objective}.{name}": array for name, array in weights.items()}
    return arrays


@dataclass(frozen=True, slots=True)
class PairwiseHeads:
    """The fitted heads that give a response one score."""

    weights: dict[str, Arrays]
    """Kind -> its arrays; those that read features are as wide as the stored ones."""

    @classmethod
    def of_arrays(cls, kinds: Iterable[str], arrays: Arrays) -> "PairwiseHeads":
        """The pairwise heads among `kinds`, from what `arrays_of` returned."""
        return cls(
            {
                kind: {
                    key.removeprefix(f"{kind}."): array for key, array in arrays.items() if key.startswith(f"{kind}.")
                }
                for kind in kinds
                if kind in PAIRWISE
            }
        )

    def scores(self, store: FeatureStore, keys: Keys) -> dict[str, NDArray[np.float64]]:
        """Kind -> scores (n,) of the responses of `keys` (n, 16); features are read once for all heads."""
        scores = {name: np.empty(len(keys)) for name in self.weights}
        for positions, features in store.stream(keys) if scores else ():
            flat = features.reshape(len(features), -1)  # (b, layers * d)
            for name, arrays in self.weights.items():
                scores[name][positions] = PAIRWISE[name].scores(flat, arrays)
        return scores


@dataclass(frozen=True, slots=True)
class RatingsHeads:
    """The fitted heads that predict distributions of ratings."""

    weights: dict[str, dict[str, Arrays]]
    """Kind -> objective -> its arrays; those that read features are as wide as the stored ones."""

    @classmethod
    def of_arrays(cls, kinds: Iterable[str], arrays: Arrays) -> "RatingsHeads":
        """The heads of ratings among `kinds`, from what `arrays_of` returned."""
        weights: dict[str, dict[str, Arrays]] = {kind: {} for kind in kinds if kind in RATINGS}
        for key, array in arrays.items():
            kind, _, rest = key.partition(".")
            objective, _, name = rest.rpartition(".")
            if kind in weights:
                weights[kind].setdefault(objective, {})[name] = array
        return cls(weights)

    def of_all(self, objectives: Iterable[str]) -> tuple["RatingsHeads", dict[str, list[str]]]:
        """The kinds that have a head for each of the objectives; and for the others, the objectives without one."""
        missing = {kind: [name for name in objectives if name not in heads] for kind, heads in self.weights.items()}
        whole = RatingsHeads({kind: heads for kind, heads in self.weights.items() if not missing[kind]})
        return whole, {kind: names for kind, names in missing.items() if names}

    def distributions(self, features: NDArray[np.float32]) -> dict[str, dict[str, Distributions]]:
        """Kind -> objective -> distributions (n) of the ratings of responses with features (n, layers * d)."""
        return {
            kind: {name: RATINGS[kind].distribution(features, arrays) for name, arrays in heads.items()}
            for kind, heads in self.weights.items()
        }
