"""Sufficient statistics of the ridge: small additive matrices in place of all features.

Rows are grouped by data set, split, fraction and rating pattern (the set of rated objectives). The rows of an
objective are those of the groups whose pattern includes it. After one pass over the features, every alpha and every
subset of data sets, rows, layers and objectives is a solve.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heads.ridge.group import Group
from heads.ridge.layout import EXACT_WIDTH, Layout, Storage
from heads.ridge.products import BlockProducts, Device
from heads.ridge.subset import LEARNED, GroupKey, Scope, Subset

BUFFER_BYTES = 1 << 28
"""Largest number of buffered bytes, summed over groups. Buffered rows are multiplied a block at a time; where many
groups buffer rows, the fullest is multiplied before its block is full, which costs less than a block of memory each."""


class GramStatistics:
    """Sums over rated rows, by group.

    Args:
        objectives: names of the k targets.
        width: length of a row of features: layers * d.
        layers: number of layers in a row.
        joint: whether products between layers are summed too, so that a head can read several layers; without them
            the sums take `layers` times less memory.
        storage: dtype of the stored features; rows of small groups are kept in it, without loss.
        product: dtype in which features are multiplied; None: chosen by their width, see `EXACT_WIDTH`.
        spill: folder for groups that do not fit into `memory_bytes`.
        memory_bytes: limit on the memory of rows and matrices; above it the group with the most spills to disk. A
            batch of shuffled rows touches every group, so that matrices would be read and written for a few rows each:
            a matrix on disk stays there until a block of rows waits for it.
        large: groups that have more rows than are kept, of which these statistics see a part; see `Group`.
        device: where float32 features are multiplied; see `BlockProducts`.
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
        spill: Path | None = None,
        memory_bytes: int = 3 << 29,
        large: frozenset[GroupKey] = frozenset(),
        device: Device = "cpu",
    ) -> None:
        hidden = width // layers
        if layers < 1 or hidden * layers != width:
            raise ValueError(f"{width} columns are not {layers} layers of one width")
        product = product or ("float64" if storage == "float64" or width <= EXACT_WIDTH else "float32")
        blocks = ((0, width),) if joint else tuple((at * hidden, (at + 1) * hidden) for at in range(layers))
        self.objectives = objectives
        self.layers = layers
        self.device: Device = device
        self.layout = Layout(width, len(objectives), blocks, storage, product)
        self.groups: dict[GroupKey, Group] = {}
        self._scratch = BlockProducts(device)
        self._spill = spill
        self._memory_bytes = memory_bytes
        self._large = large

    @classmethod
    def of_layout(cls, objectives: tuple[str, ...], layout: Layout, layers: int, **how: Any) -> "GramStatistics":
        """Statistics without rows, of shapes and dtypes that others have; `how` as in the class."""
        return cls(
            objectives,
            layout.width,
            layers=layers,
            joint=len(layout.blocks) == 1,
            storage=layout.storage,
            product=layout.product,
            **how,
        )

    @property
    def width(self) -> int:
        """Length of a row of features: layers * d."""
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
            targets: (n, k), NaN where not rated. A row without any rating is ignored.
            buckets: (n,) index into `FRACTIONS` of the smallest fraction that contains each row; None: all 0.

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
        while sum(buffered := [group.buffered_bytes for group in self.groups.values()]) > BUFFER_BYTES:
            list(self.groups.values())[int(np.argmax(buffered))].multiply(self._scratch)
        self._make_room()

    def flush(self) -> None:
        """Multiply all buffered rows; to be called after the last `add`."""
        for group in self.groups.values():
            group.flush(self._scratch)
            self._make_room()

    def subset(self, objective: int | None = None, scope: Scope = LEARNED) -> Subset:
        """The sums over the rows in scope that rate an objective; None: over all rows in scope."""
        return self.of_groups(self.keys(objective, scope), scope)

    def keys(self, objective: int | None, scope: Scope) -> frozenset[GroupKey]:
        """Keys of the groups that `subset` sums."""
        return frozenset(
            key for key in self.groups if scope.contains(key) and (objective is None or key.pattern[objective])
        )

    def rows_rating(self, objective: int | None, scope: Scope) -> int:
        """Number of rows that `subset` sums."""
        return sum(self.groups[key].n for key in self.keys(objective, scope))

    def of_groups(self, keys: Iterable[GroupKey], scope: Scope) -> Subset:
        """The sums over the groups of some keys.

        Raises:
            ValueError: the scope names a layer that is not there, or needs sums between layers that were not made.
        """
        if scope.layer is not None and not 0 <= scope.layer < self.layers:
            raise ValueError(f"there is no layer {scope.layer}: the features have {self.layers}")
        first = (scope.layer or 0) * self.width_in(scope)
        columns = (first, first + self.width_in(scope))
        groups = {key: self.groups[key] for key in keys}
        return Subset(groups, self.layout, scope, columns, self._scratch)

    def width_in(self, scope: Scope) -> int:
        """Number of feature columns in scope."""
        return self.width if scope.layer is None else self.width // self.layers

    def sharing(self, scope: Scope, objectives: Iterable[int] | None = None) -> list[list[int]]:
        """Lists of objectives that are rated by the same rows; objectives without rows are in no list."""
        lists: dict[frozenset[GroupKey], list[int]] = {}
        for objective in range(len(self.objectives)) if objectives is None else objectives:
            if keys := self.keys(objective, scope):
                lists.setdefault(keys, []).append(objective)
        return list(lists.values())

    def _group(self, key: GroupKey) -> Group:
        if key not in self.groups:
            self.groups[key] = Group(self.layout, key in self._large)
        return self.groups[key]

    def _make_room(self) -> None:
        if self._spill is None:
            return
        sizes = {key: group.bytes for key, group in self.groups.items()}
        used = sum(sizes.values())
        while used > self._memory_bytes:
            key = max(sizes, key=lambda each: sizes[each])
            self.groups[key].spill(self._spill / f"{file_name(key)}.safetensors", self._scratch)
            used -= sizes.pop(key)


def file_name(key: GroupKey) -> str:
    """A readable file name that is unique to a group."""
    pattern = sum(rated << place for place, rated in enumerate(key.pattern))
    return f"{key.dataset}-{key.split}-{key.bucket}-{pattern:x}"
