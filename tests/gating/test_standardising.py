"""Features of mean 0 and spread 1 for training, and a first layer that takes it in afterwards."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gating.training.standardising import Standardising


def uneven(seed: int, n: int, d: int) -> torch.Tensor:
    """Features with columns of very different size, as a language model's states have them."""
    random = torch.Generator().manual_seed(seed)
    scales = torch.exp(2 * torch.randn(d, generator=random))
    return (torch.randn(n, d, generator=random) + 3 * torch.randn(d, generator=random)) * scales


def test_columns_have_mean_0_and_spread_1_on_the_rows_they_were_fitted_on() -> None:
    prompts, rows = uneven(0, 300, 12), torch.arange(0, 300, 2)
    some = Standardising.fit(prompts, rows).apply(prompts[rows], torch.float32)
    torch.testing.assert_close(some.mean(dim=0), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(some.std(dim=0, correction=0), torch.ones(12), atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), n=st.integers(2, 50), d=st.integers(1, 20))
def test_the_folded_layer_does_to_features_what_the_layer_did_to_standardised_ones(seed: int, n: int, d: int) -> None:
    prompts, rows = uneven(seed, n, d), torch.arange(n)
    scaling = Standardising.fit(prompts, rows)
    layer = nn.Linear(d, 7)
    with torch.no_grad():
        before = layer(scaling.apply(prompts, torch.float32))
        scaling.fold_into(layer)
        after = layer(prompts)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)
    assert layer.weight.dtype == torch.float32


def test_a_column_that_does_not_vary_is_left_at_0_and_does_no_harm() -> None:
    prompts = torch.cat([torch.full((50, 1), 1234.5), torch.randn(50, 1)], dim=-1)
    scaling = Standardising.fit(prompts, torch.arange(50))
    assert scaling.spread[0] == 1.0
    assert (scaling.apply(prompts, torch.float32)[:, 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_features_may_come_in_any_dtype_and_leave_in_any(dtype: torch.dtype) -> None:
    prompts = torch.randn(40, 5).to(dtype)
    scaling = Standardising.fit(prompts, torch.arange(40))
    reference = Standardising.fit(prompts.float(), torch.arange(40))
    torch.testing.assert_close(scaling.mean, reference.mean)
    before = prompts.clone()
    assert scaling.apply(prompts, torch.bfloat16).dtype == torch.bfloat16
    assert torch.equal(prompts, before)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, rows = uneven(1, 100, 6), torch.arange(100)
    whole = Standardising.fit(prompts, rows)
    monkeypatch.setattr("gating.prompts.BLOCK_ROWS", 7)
    parts = Standardising.fit(prompts, rows)
    torch.testing.assert_close(parts.spread, whole.spread, rtol=1e-12, atol=0)


def test_none_leaves_features_as_they_are() -> None:
    prompts = uneven(2, 10, 4)
    assert torch.equal(Standardising.none(4).apply(prompts, torch.float32), prompts)
