"""Storage dtypes round as the hardware does, and refuse what they cannot hold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cache.precision import StoreDtype, from_storage, to_storage, unusable_rows


@given(
    st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**126), max_value=2.0**126),
        min_size=1,
    )
)
def test_bfloat16_rounds_as_torch_does(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    expected = torch.from_numpy(array).bfloat16().float().numpy()
    assert from_storage(to_storage(array, "bfloat16"), "bfloat16").tolist() == expected.tolist()


def test_bfloat16_activations_in_range_survive_float16_without_loss() -> None:
    activations = torch.randn(10_000, generator=torch.Generator().manual_seed(0)).mul(30).bfloat16().float().numpy()
    assert from_storage(to_storage(activations, "float16"), "float16").tolist() == activations.tolist()


@pytest.mark.parametrize(("dtype", "bad"), [("float16", {1, 2, 3}), ("bfloat16", {2, 3}), ("float32", {2, 3})])
def test_rows_a_dtype_cannot_hold_are_named_with_the_reason(dtype: StoreDtype, bad: set[int]) -> None:
    features = np.zeros((4, 1, 3), dtype=np.float32)
    features[1, 0, 2] = 70_000.0
    features[2, 0, 0] = np.nan
    features[3, 0, 1] = -np.inf
    reasons = unusable_rows(features, dtype)
    assert set(reasons) == bad
    assert "not finite" in reasons[2]
    if dtype == "float16":
        assert "set store.dtype to 'bfloat16' or 'float32'" in reasons[1]


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("values", ["finite", "all"])
def test_every_float16_becomes_the_float32_that_numpy_makes_of_it(flush: bool, values: str) -> None:
    stored = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    stored = stored[np.isfinite(stored)] if values == "finite" else stored
    expected = stored.astype(np.float32)
    torch.set_flush_denormal(flush)  # of this thread: products of subnormal float32 are 0 then
    try:
        made = from_storage(stored, "float16")
        into = np.full((2, len(stored)), 7, dtype=np.float32)
        assert from_storage(stored, "float16", into[1]) is not None
    finally:
        torch.set_flush_denormal(False)
    assert made.view(np.uint32).tolist() == expected.view(np.uint32).tolist()
    assert into[1].view(np.uint32).tolist() == expected.view(np.uint32).tolist()
    assert (into[0] == 7).all()
