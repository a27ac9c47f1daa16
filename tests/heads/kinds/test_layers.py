"""Which layers a head reads, and weights as wide as what is stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads.kinds.layers import LayerChoice

STORED = (4, 8, -1)


@given(st.lists(st.sampled_from(STORED), unique=True), st.integers(1, 5))
def test_scores_of_widened_weights_are_scores_of_the_chosen_layers(chosen: list[int], hidden_size: int) -> None:
    choice = LayerChoice.of(STORED, chosen, hidden_size)
    rng = np.random.default_rng(0)
    features = rng.integers(-9, 9, (6, 3, hidden_size)).astype(np.float64)
    weights = rng.integers(-9, 9, (2, len(choice.columns))).astype(np.float64)
    wide = choice.widen(weights)
    assert wide.shape == (2, 3 * hidden_size)
    np.testing.assert_array_equal(features.reshape(6, -1) @ wide.T, choice.take(features) @ weights.T)
    unread = [place for place, layer in enumerate(STORED) if chosen and layer not in chosen]
    assert not wide.reshape(2, 3, hidden_size)[:, unread].any()


def test_naming_every_layer_in_any_order_is_naming_none() -> None:
    everything, named = LayerChoice.of(STORED, (), 4), LayerChoice.of(STORED, (-1, 4, 8), 4)
    np.testing.assert_array_equal(everything.columns, named.columns)
    assert everything.everything
    assert not LayerChoice.of(STORED, (8,), 4).everything


def test_a_layer_that_is_not_stored_or_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="layer 5 is not stored: there are 4, 8, -1"):
        LayerChoice.of(STORED, (4, 5), 4)
    with pytest.raises(ValueError, match="chosen twice"):
        LayerChoice.of(STORED, (4, 4), 4)
