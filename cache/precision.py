"""Storage precision: the range and size of each dtype, and conversion to and from it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

StoreDtype = Literal["float16", "bfloat16", "float32"]

LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": float(np.finfo(np.float32).max)}
"""Largest finite magnitude of each storage dtype."""

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
"""Bytes of one value."""


def unusable_rows(features: NDArray[np.float32], dtype: StoreDtype) -> dict[int, str]:
    """Row -> reason, for rows that `dtype` cannot hold: not finite, or out of range.

    Args:
        features: (n, layers, hidden_size)
        dtype: the storage dtype.
    """
    flat = features.reshape(len(features), int(np.prod(features.shape[1:])))  # (n, layers * d), n may be 0
    largest = np.abs(flat).max(axis=-1, initial=0.0)  # (n,) NaN where any is NaN
    reasons = {
        int(row): "the backbone gave a value that is not finite" for row in np.flatnonzero(~np.isfinite(largest))
    }
    for row in np.flatnonzero(np.isfinite(largest) & (largest > LARGEST[dtype])):
        reasons[int(row)] = (
            f"a feature of {largest[row]:.4g} is beyond {dtype}'s largest, {LARGEST[dtype]:.4g}:"
            " set store.dtype to 'bfloat16' or 'float32'"
        )
    return reasons


def to_storage(features: NDArray[np.float32], dtype: StoreDtype) -> NDArray[np.generic]:
    """Convert float32 to the storage dtype; bfloat16 becomes uint16, the upper 16 bits of the float32."""
    if dtype != "bfloat16":
        return features.astype(dtype)
    bits = np.ascontiguousarray(features, dtype=np.float32).view(np.uint32)
    # Round to nearest, ties to even, as the hardware does: add half of the last place that stays, and its bit.
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_storage(stored: NDArray[np.generic], dtype: StoreDtype) -> NDArray[np.float32]:
    """Convert stored values to float32, exactly."""
    if dtype != "bfloat16":
        return stored.astype(np.float32, copy=False)
    return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
