"""Sufficient statistics of the ridge: small additive matrices in place of all features.

Rows are grouped by data set, split, share and rating pattern (which objectives are rated): for an objective,
the rows that count are those of the groups whose pattern holds it. After one pass over the features every
penalty, every subset of data sets, rows, layers and objectives is a solve.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heads.ridge.group import EXACT_WIDTH, Group, Layout, Storage
from heads.ridge.subset import LEARNED, GroupKey, Scope, Subset
from heads.ridge.symmetric import Scratch

WAITING_BYTES = 1 << 28
"""Of rows that wait beside a matrix to be multiplied in one block, over all groups. With many groups the fullest goes
before its block is full, which costs less than the memory of a block for each."""


class GramStatistics:
    """The groups of a set of rated rows.

    Args:
        objectives: names of the targets.
        width: of a row of features: layers * d.
        layers: how many layers a row holds.
        joint: whether products between layers are summed too, so that a head can read several; else
            those within each layer alone, which takes `layers` times less room.
        storage: what the features are stored as; rows of small groups are kept in it, without loss.
        product: what features are multiplied in; None: by their width, see `EXACT_WIDTH`.
        shelf: folder for groups that do not fit into `memory_bytes`.
        memory_bytes: most memory for rows and matrices of groups; those used longest ago go to the shelf.
    """

    def __init__(
        self,
        objectives: tuple[str, ...],
        width: int,
        *,
        layers: int = 1,
        joint: bool = True,
        storage: Storage = "float64",
        product: Literal["float32", "float64"] | None = None,
        shelf: Path | None = None,
        memory_bytes: int = 3 << 29,
    ) -> None:
        hidden = width // layers
        if layers < 1 or hidden * layers != width:
            raise ValueError(f"{width} columns are not {layers} layers of one width")
        product = product or ("float64" if storage == "float64" or width <= EXACT_WIDTH else "float32")
        blocks = ((0, width),) if joint else tuple((at * hidden, (at + 1) * hidden) for at in range(layers))
        self.objectives = objectives
        self.layers = layers
        self.layout = Layout(width, len(objectives), blocks, storage, product)
        self.groups: dict[GroupKey, Group] = {}  # the one used last stands last
        self._scratch = Scratch()
        self._shelf = shelf
        self._memory_bytes = memory_bytes

    @property
    def width(self) -> int:
        """Columns of a row of features: layers * d."""
        return self.layout.width

    def add(
        self,
        dataset: str,
        split: str,
        features: NDArray[np.floating[Any]],
        targets: NDArray[np.float64],
        buckets: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Add rows of one data set and split.

        Args:
            dataset: name of the data set.
            split: train or validation.
            features: (n, width), finite.
            targets: (n, k), NaN where not rated. A row without any rating counts nowhere.
            buckets: (n,) place in `SHARES` of the smallest share a row is in; all 0 where left out.

        Raises:
            ValueError: the shapes do not fit, or a value is not finite.
        """
        rows = len(targets)
        if features.shape != (rows, self.width) or targets.shape != (rows, len(self.objectives)):
            raise ValueError(f"features {features.shape} and targets {targets.shape} do not fit these statistics")
        if not np.isfinite(features).all() or np.isinf(targets).any():
            raise ValueError(f"{dataset}: a feature is not finite, or a target is infinite")
        numbers = np.zeros(rows, dtype=np.int64) if buckets is None else np.asarray(buckets, dtype=np.int64)
        rated = ~np.isnan(targets)  # (n, k)
        kinds, membership = np.unique(np.column_stack([numbers, rated]), axis=0, return_inverse=True)
        for number, (bucket, *pattern) in enumerate(kinds):
            if any(pattern):
                members = membership.reshape(-1) == number
                group = self._group(GroupKey(dataset, split, int(bucket), tuple(map(bool, pattern))))
                group.add(features[members], np.nan_to_num(targets[members]), self._scratch)
        while sum(waiting := [group.waiting_bytes for group in self.groups.values()]) > WAITING_BYTES:
            list(self.groups.values())[int(np.argmax(waiting))].multiply(self._scratch)
        self._make_room()

    def merge(self, other: "GramStatistics") -> None:
        """Add the rows that `other` has seen, which this has not.

        Raises:
            ValueError: the two have other objectives, or features of another kind.
        """
        if (other.objectives, other.layout) != (self.objectives, self.layout):
            raise ValueError("statistics of other objectives, or of features of another kind, cannot be merged")
        for key, group in other.groups.items():
            self._group(key).merge(group, self._scratch)
            self._make_room()

    def settle(self) -> None:
        """Multiply the rows that wait for more to come; to be called when there are no more."""
        for group in self.groups.values():
            group.settle(self._scratch)
            self._make_room()

    def subset(self, objective: int | None = None, scope: Scope = LEARNED) -> Subset:
        """The sums over the selected rows that rate an objective, or over all of them."""
        return self.of_groups(self.keys(objective, scope), scope)

    def keys(self, objective: int | None, scope: Scope) -> frozenset[GroupKey]:
        """The groups that `subset` sums."""
        return frozenset(
            key for key in self.groups if scope.holds(key) and (objective is None or key.pattern[objective])
        )

    def rows_rating(self, objective: int | None, scope: Scope) -> int:
        """Number of rows that `subset` sums."""
        return sum(self.groups[key].n for key in self.keys(objective, scope))

    def of_groups(self, keys: Iterable[GroupKey], scope: Scope) -> Subset:
        """The sums over some groups."""
        if scope.layer is not None and not 0 <= scope.layer < self.layers:
            raise ValueError(f"there is no layer {scope.layer}: the features have {self.layers}")
        first = (scope.layer or 0) * self.width_in(scope)
        columns = (first, first + self.width_in(scope))
        if not any(first <= columns[0] and columns[1] <= end for first, end in self.layout.blocks):
            raise ValueError("these statistics hold each layer by itself: choose one")
        groups = {key: self.groups[key] for key in keys}
        return Subset(groups, self.layout, scope, columns, self._scratch)

    def width_in(self, scope: Scope) -> int:
        """Columns of the features in scope."""
        return self.width if scope.layer is None else self.width // self.layers

    def sharing(self, scope: Scope, objectives: Iterable[int] | None = None) -> list[list[int]]:
        """Objectives in lists of those that the same rows rate; those that no row rates are in none."""
        lists: dict[frozenset[GroupKey], list[int]] = {}
        for objective in range(len(self.objectives)) if objectives is None else objectives:
            if keys := self.keys(objective, scope):
                lists.setdefault(keys, []).append(objective)
        return list(lists.values())

    def _group(self, key: GroupKey) -> Group:
        group = self.groups.pop(key, None) or Group(self.layout)
        self.groups[key] = group
        return group

    def _make_room(self) -> None:
        if self._shelf is None:
            return
        held = sum(group.bytes for group in self.groups.values())
        for number, (key, group) in enumerate(self.groups.items()):
            if held <= self._memory_bytes or number == len(self.groups) - 1:
                return
            held -= group.bytes
            group.shelve(self._shelf / f"{file_name(key)}.safetensors", durable=False)


def file_name(key: GroupKey) -> str:
    """A name for a group's file: readable, and another one for every group."""
    pattern = sum(rated << place for place, rated in enumerate(key.pattern))
    return f"{key.dataset}-{key.split}-{key.bucket}-{pattern:x}"
