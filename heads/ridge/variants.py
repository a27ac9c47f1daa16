"""All ablations of a fit: every data set, objective, fraction of the rows and layer, each timed."""

import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from cache.progress import Progress, silent
from heads.ablation_results import FractionScore, FromOthers, Score, WithoutDataset
from heads.ridge.ablations import RidgeAblations
from heads.ridge.subset import FRACTIONS

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Variants:
    """Solves all variants of a fit.

    Args:
        ablations: solves one variant.
        progress: called with the number of variants done.

    Attributes:
        seconds: variant -> time it took.
    """

    def __init__(self, ablations: RidgeAblations, progress: Progress = silent) -> None:
        self.ablations = ablations
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._layers = ablations.statistics.layers if ablations.statistics.layers > 1 else 0
        groups = len(ablations.groups)
        self._total = (
            len(ablations.datasets) + len(ablations.alphas) + groups * (len(FRACTIONS) - 1) + groups * self._layers
        )

    def datasets(self) -> dict[str, WithoutDataset]:
        """Data set -> the heads without its training rows."""
        return {
            name: self._timed(f"without data set {name}", self.ablations.without_dataset, name)
            for name in self.ablations.datasets
        }

    def objectives(self) -> dict[str, FromOthers]:
        """Objective -> how well the others' heads predict its ratings; empty if there is one objective."""
        if len(self.ablations.alphas) < 2:
            return {}
        self._timed("heads of the training rows", lambda: self.ablations.weight)
        return {
            name: self._timed(f"without objective {name}", self.ablations.from_others, name)
            for name in self.ablations.alphas
        }

    def rows(self) -> dict[str, tuple[FractionScore, ...]]:
        """Objective -> scores at each fraction of the training rows but the whole, the smallest first."""
        curves: dict[str, list[FractionScore]] = {name: [] for name in self.ablations.alphas}
        for fraction in FRACTIONS[:-1]:
            for group in self.ablations.groups:
                variant = f"{fraction:g} of the rows: {', '.join(group)}"
                scores = self._timed(variant, self.ablations.at_fraction, fraction, group)
                for name, score in scores.items():
                    curves[name].append(FractionScore(fraction, score.rows, score.alpha, score.mse, score.pearson))
        return {name: tuple(curve) for name, curve in curves.items()}

    def layers(self, stored: Sequence[int]) -> dict[str, dict[str, Score]]:
        """Layer -> objective -> score of a head that reads this layer alone; empty if one layer is stored.

        Args:
            stored: names of the stored layers, as the backbone numbers them.
        """
        variants: dict[str, dict[str, Score]] = {}
        for place in range(self._layers):
            variants[str(stored[place])] = {}
            for group in self.ablations.groups:
                variant = f"layer {stored[place]}: {', '.join(group)}"
                variants[str(stored[place])] |= self._timed(variant, self.ablations.at_layer, place, group)
        return variants

    def _timed(
        self, name: str, solve: Callable[Arguments, Result], *of: Arguments.args, **more: Arguments.kwargs
    ) -> Result:
        started = time.monotonic()
        result = solve(*of, **more)
        self.seconds[name] = time.monotonic() - started
        self._progress("solving variants", len(self.seconds), self._total + 1, "variants")
        return result
