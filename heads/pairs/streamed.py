"""The Bradley-Terry head of more pairs than memory holds: their differences are read again for every evaluation.

All values of C are fitted together, so that one pass over the store serves all of them: some twenty passes in all.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.prefetch import prefetched
from cache.progress import Progress, silent
from heads.kinds.bradley_terry import BradleyTerryHead, Size, Sums, losses_and_slopes
from heads.kinds.layers import LayerChoice
from heads.kinds.whitening import BLOCK_ROWS, ROWS_PER_FEATURE, SharedAxes
from heads.pairs.decided import DecidedPairs
from heads.pairs.together import together

log = logging.getLogger(__name__)


class StreamedDifferences:
    """Chosen minus rejected features of pairs, read from the store block by block.

    Args:
        store: holds the features.
        pairs: n pairs.
        choice: the c columns that a head reads.
        progress: called with the number of pairs read in a pass.
    """

    def __init__(
        self, store: FeatureStore, pairs: DecidedPairs, choice: LayerChoice, progress: Progress = silent
    ) -> None:
        self._store = store
        self._pairs = pairs
        self._choice = choice
        self._progress = progress
        self._blocks = list(pairs.blocks(store))
        self._passes = 0

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
        """Differences (b, c) and weights (b,) of all pairs, in the order of the store."""
        self._passes += 1
        done = 0
        read = ((self._choice.take(block.differences(self._store)), block.weight) for block in self._blocks)
        for differences, weight in prefetched(read, ahead=1):
            yield differences, weight
            done += len(weight)
            self._progress(f"reading pairs, pass {self._passes}", done, len(self._pairs), "pairs")

    def size(self) -> Size:
        """Number and size of the differences, in one pass."""
        squares = 0.0
        for differences, weight in self.blocks():
            squares += float(weight @ np.einsum("nd,nd->n", differences, differences, dtype=np.float64))
        total = float(self._pairs.weight.sum())
        scale = float(np.sqrt(squares / (total * len(self._choice.columns)))) or 1.0
        return Size(len(self._pairs), total, scale)

    def second_moment(self) -> NDArray[np.float64]:
        """Mean of x x' over the pairs that `Whitening` would take. Shape (c, c)."""
        n, width = len(self._pairs), len(self._choice.columns)
        some = self._pairs.at(np.arange(0, n, max(1, n // (ROWS_PER_FEATURE * width))))
        moment = np.zeros((width, width))
        for start in range(0, len(some), BLOCK_ROWS):
            block = some.at(np.arange(start, min(start + BLOCK_ROWS, len(some))))
            differences = self._choice.take(block.differences(self._store))  # (b, c)
            moment += differences.T @ differences
        return moment / len(some)

    def sums(self, weights: Sequence[NDArray[np.float64]]) -> list[tuple[float, NDArray[np.float64]]]:
        """`Sums` at several weights (c,) each, in one pass."""
        columns = np.stack(weights, axis=-1).astype(np.float32)  # (c, a)
        losses = np.zeros(len(weights))
        pulls = np.zeros(columns.shape[::-1])  # (a, c)
        for differences, weight in self.blocks():
            margins = (differences @ columns).astype(np.float64)  # (b, a)
            of_pairs, slopes = losses_and_slopes(margins, weight[:, None])  # (b, a) each
            losses += of_pairs.sum(axis=0)
            pulls += slopes.astype(np.float32).T @ differences
        return list(zip(losses.tolist(), pulls, strict=True))

    def accuracies(self, heads: Sequence[NDArray[np.float64]]) -> list[float]:
        """Fraction of the pairs that each head (c,) judges right; a tie counts as wrong."""
        columns = np.stack(heads, axis=-1).astype(np.float32)  # (c, a)
        right = np.zeros(len(heads), dtype=np.int64)
        for differences, _ in self.blocks():
            right += (differences @ columns > 0).sum(axis=0)
        return (right / len(self._pairs)).tolist()


def select_c_streamed(
    train: StreamedDifferences,
    validation: StreamedDifferences,
    C: Sequence[float],
    kind: Callable[[float], BradleyTerryHead] = BradleyTerryHead,
) -> tuple[BradleyTerryHead, float]:
    """The head with the best accuracy on the validation pairs, and that accuracy, as `bradley_terry.select_c`.

    Args:
        train: pairs to fit on.
        validation: pairs to select by; each counts 1.
        C: inverse penalties.
        kind: makes a head of a C.
    """
    heads = [kind(value) for value in sorted(C)]
    size = train.size()
    # Both parts of a second derivative are proportional to C, so that its axes are the same for every C.
    first = heads[0]
    curvature, quadratic = first.second_derivatives(size)
    hessian = curvature * size.pairs * train.second_moment()  # (c, c)
    axes = SharedAxes(hessian if quadratic is None else hessian + quadratic)

    def fit(head: BradleyTerryHead, sums: Sums) -> BradleyTerryHead:
        return head.fit_sums(sums, size, axes.whitening(head.C / first.C, 1.0 / size.pairs))

    fitted = together([partial(fit, head) for head in heads], train.sums)
    accuracies = validation.accuracies([head.coef_ for head in fitted])
    best = int(np.argmax(accuracies))
    return fitted[best], accuracies[best]
