"""The rows in scope, and the sums over them from which every solve and score follows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heads.ridge.group import BLOCK_ROWS, Group
from heads.ridge.layout import Layout
from heads.ridge.symmetric import Real, Scratch, add_packed, mirror
from heads.settings import HeadSettings

TRAIN, VALIDATION = "train", "validation"

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
"""Nested fractions of a split's prompts to which statistics can be restricted."""


class GroupKey(NamedTuple):
    """Identifies the rows that are summed together."""

    dataset: str
    split: str
    bucket: int
    """Index into `FRACTIONS` of the smallest fraction that contains the rows."""
    pattern: tuple[bool, ...]
    """(k,) whether the rows rate each objective."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A selection of rows, with weights, and of the columns of their features."""

    splits: tuple[str, ...] = (TRAIN,)
    datasets: frozenset[str] | None = None
    """None: all."""
    fraction: float = 1.0
    """Fraction of each data set's prompts, one of `FRACTIONS`; a larger fraction contains every smaller one."""
    layer: int | None = None
    """Index of one of the store's layers; None: all of them, concatenated."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Data set -> weight of its rows; 1 where not named."""

    def __post_init__(self) -> None:
        if self.fraction not in FRACTIONS:
            raise ValueError(
                f"a fraction of {self.fraction:g} was not counted: only {', '.join(map(str, FRACTIONS))} were"
            )

    def contains(self, key: GroupKey) -> bool:
        """Whether a group's rows are selected."""
        return (
            key.split in self.splits
            and (self.datasets is None or key.dataset in self.datasets)
            and key.bucket <= FRACTIONS.index(self.fraction)
            and self.weight(key) > 0
        )

    def weight(self, key: GroupKey) -> float:
        """Weight of a group's rows."""
        return self.weights.get(key.dataset, 1.0)


def scope_of(settings: HeadSettings, *splits: str) -> Scope:
    """The rows of some splits with the weights, and the columns, that the settings ask for."""
    return Scope(tuple(splits), layer=settings.layer, weights=settings.dataset_weights)


LEARNED, HELD_OUT = Scope((TRAIN,)), Scope((VALIDATION,))
"""Training rows, and validation rows."""


class Subset:
    """The weighted sums over some groups.

    Attributes:
        keys: keys of the groups, sorted, so that sums are the same to the bit in every process.
        n: number of rows.
        weight_sum: sum of the rows' weights.
        xy: (m, k) float64, for m columns.
        x: (m,) float64
        y: (k,) float64
        yy: (k,) float64
        scratch: matrix shared by all products and factors of these statistics.
    """

    def __init__(
        self,
        groups: Mapping[GroupKey, Group],
        layout: Layout,
        scope: Scope,
        columns: tuple[int, int],
        scratch: Scratch,
    ) -> None:
        self.keys = tuple(sorted(groups))
        self._groups = [(groups[key], scope.weight(key)) for key in self.keys]
        self._layout = layout
        self._columns = slice(*columns)
        self._block, self._in_block = layout.within(*columns)
        self.scratch = scratch
        self.n = sum(group.n for group, _ in self._groups)
        self.weight_sum = sum(weight * group.n for group, weight in self._groups)
        self.xy = np.zeros((columns[1] - columns[0], layout.targets))
        self.x = np.zeros(columns[1] - columns[0])
        self.y, self.yy = np.zeros(layout.targets), np.zeros(layout.targets)
        for group, weight in self._groups:
            self.xy += weight * group.xy[self._columns]
            self.x += weight * group.x[self._columns]
            self.y += weight * group.y
            self.yy += weight * group.yy

    @property
    def width(self) -> int:
        """Number m of columns."""
        return len(self.x)

    @property
    def is_rows(self) -> bool:
        """Whether the rows themselves are stored, so that `rows` can return them."""
        return all(group.is_rows for group, _ in self._groups)

    @property
    def is_small(self) -> bool:
        """Whether the rows themselves are stored and there are fewer of them than columns."""
        return self.n < self.width and self.is_rows

    def rows(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """All rows: features (n, m), targets (n, k) with 0 where not rated, weights (n,), float64.

        Raises:
            ValueError: some groups hold only sums.
        """
        if not self.is_rows:
            raise ValueError("only sums are left of some of these rows")
        pieces = [(x, y, weight) for group, weight in self._groups for x, y in group.rows()]
        features = [x[:, self._columns].astype(np.float64) for x, _, _ in pieces]
        return (
            np.concatenate([np.empty((0, self.width)), *features]),
            np.concatenate([np.empty((0, self._layout.targets)), *(y for _, y, _ in pieces)]),
            np.concatenate([np.empty(0), *(np.full(len(x), weight) for x, _, weight in pieces)]),
        )

    def xx(self, add_to: Real | None = None) -> Real:
        """The sum of x x', (m, m) float64, both halves.

        Args:
            add_to: matrix of another subset to which the sum is added in place.
        """
        total = np.zeros((self.width, self.width), order="F") if add_to is None else add_to
        for group, weight in self._groups:
            if (packed := group.packed(self._block)) is not None:
                add_packed(packed, total, weight, self._in_block)
        for weight in sorted({weight for _, weight in self._groups}):
            lower: Real | None = None
            for features in self._rows_of_weight(weight):
                lower = self.scratch.product(features, add=lower is not None)
            if lower is not None:
                for column in range(self.width):
                    below = lower[column:, column]
                    total[column:, column] += below if weight == 1.0 else weight * below
        return mirror(total)

    def squares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of (x · w)² for each head in `weights` (c, m). Shape (c,).

        Computed group by group, so that no (m, m) matrix in float64 is allocated.
        """
        total = np.zeros(len(weights))
        heads = weights.T  # (m, c)
        for group, weight in self._groups:
            if (packed := group.packed(self._block)) is not None:
                square = np.zeros((self.width, self.width), packed.dtype, order="F")
                add_packed(packed, square, 1.0, self._in_block)
                products = mirror(square) @ heads.astype(packed.dtype)  # (m, c)
                total += weight * np.einsum("mc,mc->c", products, heads)
        for weight in sorted({weight for _, weight in self._groups}):
            for features in self._rows_of_weight(weight):
                predicted = features @ heads.astype(features.dtype)  # (b, c)
                total += weight * np.square(predicted, dtype=np.float64).sum(axis=0)
        return total

    def _rows_of_weight(self, weight: float) -> Iterator[Real]:
        """Rows of one weight that are stored unmultiplied, in blocks (b, m) of at least `BLOCK_ROWS`."""
        buffer: list[Real] = []
        for group, other in self._groups:
            for features, _ in group.rows() if other == weight else ():
                buffer.append(features[:, self._columns])
                if sum(map(len, buffer)) >= BLOCK_ROWS:
                    yield np.concatenate(buffer)
                    buffer = []
        if buffer:
            yield np.concatenate(buffer)
