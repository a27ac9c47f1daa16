"""The stored layers that a head reads: one, some, or all of them concatenated.

Fitted weights are as wide as the stored features, with zeros for layers that a head does not read, so that code that
applies a head does not depend on the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The columns of some layers among features of shape (n, layers * hidden_size)."""

    columns: NDArray[np.int64]
    """(c,) indices, rising."""
    width: int
    """layers * hidden_size"""

    @classmethod
    def of(cls, stored: Sequence[int], chosen: Sequence[int], hidden_size: int) -> "LayerChoice":
        """The choice of some layers among the stored ones; all of them if `chosen` is empty.

        Raises:
            ValueError: a layer is not stored, or chosen twice.
        """
        if len(set(chosen)) != len(chosen):
            raise ValueError(f"a layer is chosen twice: {list(chosen)}")
        for layer in chosen:
            if layer not in stored:
                raise ValueError(f"layer {layer} is not stored: there are {', '.join(map(str, stored))}")
        # In the order of the store, so that naming every layer is the same as naming none.
        places = sorted(stored.index(layer) for layer in chosen) or list(range(len(stored)))
        columns = np.concatenate([np.arange(place * hidden_size, (place + 1) * hidden_size) for place in places])
        return cls(columns, len(stored) * hidden_size)

    @property
    def everything(self) -> bool:
        """Whether all layers are chosen."""
        return len(self.columns) == self.width

    def take(self, features: NDArray[Scalar]) -> NDArray[Scalar]:
        """The chosen columns of features (n, layers, hidden_size) or (n, width). Shape (n, c)."""
        flat = features.reshape(len(features), -1)
        return flat if self.everything else flat[:, self.columns]

    def widen(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Weights (..., c) over the chosen columns as weights (..., width) over all."""
        wide = np.zeros((*weights.shape[:-1], self.width), dtype=weights.dtype)
        wide[..., self.columns] = weights
        return wide
