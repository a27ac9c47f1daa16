"""Storage precision: the range and size of each dtype, and conversion to and from it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

StoreDtype = Literal["float16", "bfloat16", "float32"]

LARGEST = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": float(np.finfo(np.float32).max)}
"""Largest finite magnitude of each storage dtype."""

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
"""Bytes of one value."""

NUMPY_TYPES: dict[StoreDtype, str] = {"float16": "<f2", "bfloat16": "<u2", "float32": "<f4"}
"""Type of an array of stored values; bfloat16, which NumPy does not know, is the upper 16 bits of a float32."""


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


def from_storage(
    stored: NDArray[np.generic], dtype: StoreDtype, into: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Convert stored values to float32, exactly.

    Args:
        stored: values of any shape.
        dtype: the storage dtype.
        into: contiguous, of the same shape: filled and returned; a new array if it is not given.
    """
    if into is None and dtype == "float32":
        return stored.astype(np.float32, copy=False)
    into = np.empty(stored.shape, dtype=np.float32) if into is None else into
    if dtype == "bfloat16":
        np.left_shift(stored, np.uint32(16), out=into.view(np.uint32), dtype=np.uint32)
    elif dtype == "float16" and not _has_largest_exponent(stored) and _keeps_subnormals():
        bits = into.view(np.int32)
        np.left_shift(stored.view(np.int16), np.int32(13), out=bits, dtype=np.int32)
        np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # sign, 5 bits of exponent, 10 bits of mantissa
        np.multiply(into, np.float32(2.0**112), out=into)  # the exponents' offsets are 127 and 15
    else:
        np.copyto(into, stored, casting="unsafe")
    return into


def _has_largest_exponent(half: NDArray[np.generic]) -> bool:
    """Whether a float16 among these is infinite or no number."""
    return bool(
        half.view(np.int16).max(initial=0) >= 0x7C00 or half.view(np.uint16).max(initial=0) >= 0xFC00  # negative ones
    )


def _keeps_subnormals() -> bool:
    """Whether this thread multiplies float32 below 2^-126 exactly; a library may have told it to take them for 0."""
    return bool((np.full(1, 2.0**-149, dtype=np.float32) * np.float32(2.0**112))[0])
