"""The other heads of a run, read back, and their scores beside the aggregation rules'."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import Keys
from heads.kinds.registry import PAIRWISE
from pipelines.artefacts import Arrays, other_heads_inputs, read_arrays, read_json
from pipelines.recipe import Recipe


@dataclass(frozen=True, slots=True)
class OtherHeads:
    """The fitted heads that give a response one score."""

    weights: dict[str, Arrays]
    """Head -> its arrays; what reads features is as wide as the stored ones."""

    @classmethod
    def read(cls, recipe: Recipe) -> "OtherHeads":
        """Read what `armorm train-gating` wrote for the heads that the recipe names.

        Raises:
            UserError: they are not there, or of other settings, rows or features.
        """
        names = [name for name in recipe.other_heads.fit if name in PAIRWISE]
        if not names:
            return cls({})
        path = recipe.folder / "other_heads.json"
        report = read_json(path, "train-gating")
        extracted = read_json(recipe.folder / "extract.json", "extract")
        if report.get("fingerprint") != extracted.get("fingerprint") or report.get("inputs") != other_heads_inputs(
            recipe
        ):
            raise UserError(f"{path} is of other features, rows or settings: run `armorm train-gating` again")
        arrays = read_arrays(recipe.folder / "other_heads.safetensors", "train-gating")
        return cls(
            {
                name: {
                    key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")
                }
                for name in names
            }
        )

    def scores(self, store: FeatureStore, keys: Keys) -> dict[str, NDArray[np.float64]]:
        """Head -> scores (n,) of responses given by key, read once for all heads."""
        scores = {name: np.empty(len(keys)) for name in self.weights}
        for positions, features in store.stream(keys) if scores else ():
            flat = features.reshape(len(features), -1)  # (b, layers * d)
            for name, arrays in self.weights.items():
                scores[name][positions] = PAIRWISE[name].scores(flat, arrays)
        return scores
