"""Which rows count, and the sums over them that every solve and score is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heads.ridge.group import BLOCK_ROWS, Group, Layout
from heads.ridge.symmetric import Real, Scratch, add_packed, mirror

TRAIN, VALIDATION = "train", "validation"

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Nested shares of a split's prompts that statistics can be restricted to."""


class GroupKey(NamedTuple):
    """Rows that are counted together."""

    dataset: str
    split: str
    bucket: int
    """Place in `SHARES` of the smallest share that holds the rows."""
    pattern: tuple[bool, ...]
    """Which objectives are rated."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the rows count, with which weight, and which columns of their features."""

    splits: tuple[str, ...] = (TRAIN,)
    datasets: frozenset[str] | None = None
    """None: all."""
    share: float = 1.0
    """One of `SHARES`: of each data set and split, by prompt; a larger share holds every smaller one."""
    layer: int | None = None
    """Place of one layer among the store's; None: all of them, one after the other."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Data set -> how many times its rows count; 1 where not named."""

    def __post_init__(self) -> None:
        if self.share not in SHARES:
            raise ValueError(f"a share of {self.share:g} was not counted: only {', '.join(map(str, SHARES))} were")

    def holds(self, key: GroupKey) -> bool:
        """Whether the rows of a group count."""
        return (
            key.split in self.splits
            and (self.datasets is None or key.dataset in self.datasets)
            and key.bucket <= SHARES.index(self.share)
            and self.weight(key) > 0
        )

    def weight(self, key: GroupKey) -> float:
        """How many times the rows of a group count."""
        return self.weights.get(key.dataset, 1.0)


LEARNED, HELD_OUT, BOTH = Scope((TRAIN,)), Scope((VALIDATION,)), Scope((TRAIN, VALIDATION))
"""Training rows, validation rows, and all of them."""


class Subset:
    """Some groups together.

    Attributes:
        keys: of the groups, sorted, so that sums are the same to the bit in every process.
        n: rows, each counted once.
        mass: rows, each counted by its weight, as in the sums below.
        xy: (m, k) float64, for m columns.
        x: (m,) float64
        y: (k,) float64
        yy: (k,) float64
        scratch: that sums of these statistics are made with.
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
        self.scratch = scratch
        self.n = sum(group.n for group, _ in self._groups)
        self.mass = sum(weight * group.n for group, weight in self._groups)
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
        """Columns: the m of these sums."""
        return len(self.x)

    @property
    def is_rows(self) -> bool:
        """Whether every row is there, so that `rows` can give them."""
        return all(group.is_rows for group, _ in self._groups)

    @property
    def is_small(self) -> bool:
        """Whether every row is there and there are fewer of them than columns."""
        return self.n < self.width and self.is_rows

    def rows(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """All rows: features (n, m), targets (n, k) with 0 where not rated, weights (n,), float64.

        Raises:
            ValueError: only sums are left of some.
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
            add_to: a matrix of another subset that takes the sum in.
        """
        total = np.zeros((self.width, self.width), order="F") if add_to is None else add_to
        for group, weight in self._groups:
            for (first, end), packed in zip(self._layout.blocks, group.packed(), strict=False):
                if first <= self._columns.start and self._columns.stop <= end:
                    wanted = slice(self._columns.start - first, self._columns.stop - first)
                    add_packed(packed, total, weight, wanted)
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
        """The sum of (x · w)² for each of some heads (c, m). Shape (c,).

        Group after group, so that no matrix in double precision is made.
        """
        total = np.zeros(len(weights))
        heads = weights.T  # (m, c)
        for group, weight in self._groups:
            for (first, end), packed in zip(self._layout.blocks, group.packed(), strict=False):
                if first <= self._columns.start and self._columns.stop <= end:
                    square = np.zeros((self.width, self.width), packed.dtype, order="F")
                    add_packed(packed, square, 1.0, slice(self._columns.start - first, self._columns.stop - first))
                    products = mirror(square) @ heads.astype(packed.dtype)  # (m, c)
                    total += weight * np.einsum("mc,mc->c", products, heads)
        for weight in sorted({weight for _, weight in self._groups}):
            for features in self._rows_of_weight(weight):
                predicted = features @ heads.astype(features.dtype)  # (b, c)
                total += weight * np.square(predicted, dtype=np.float64).sum(axis=0)
        return total

    def _rows_of_weight(self, weight: float) -> Iterator[Real]:
        """Rows of that weight not multiplied yet, in blocks (b, m) of `BLOCK_ROWS` and more."""
        waiting: list[Real] = []
        for group, other in self._groups:
            for features, _ in group.rows() if other == weight else ():
                waiting.append(features[:, self._columns])
                if sum(map(len, waiting)) >= BLOCK_ROWS:
                    yield np.concatenate(waiting)
                    waiting = []
        if waiting:
            yield np.concatenate(waiting)
