"""The reference code's search for lambda: a grid and a threshold, for reproducing it."""

import numpy as np
import pytest

from gating.correlation import spearman
from gating.debiasing import GRID, first_on_grid, fit_debiasing
from gating.settings import DebiasingSettings

SETTINGS = DebiasingSettings(verbosity="length", method="published_grid")


def related(slope: float, noise: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    v = rng.standard_normal(n)
    return slope * v + noise * rng.standard_normal(n), v


def test_the_grid_is_the_published_one() -> None:
    small = [0, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15]
    assert list(GRID) == pytest.approx([*small, *(0.2 + 0.05 * step for step in range(16))])
    assert len(GRID) == 24


@pytest.mark.parametrize("slope", [0.02, 0.3, 0.62])
def test_it_takes_the_first_value_that_is_enough(slope: float) -> None:
    r, v = related(slope, 0.4)
    found = first_on_grid(r, v, spearman, 0.03)
    assert spearman(r - found * v, v) <= 0.03
    assert all(spearman(r - value * v, v) > 0.03 for value in GRID if value < found)


def test_it_takes_1_where_the_grid_ends_too_early() -> None:
    r, v = related(3.0, 0.1)
    assert first_on_grid(r, v, spearman, 0.03) == 1.0


def test_a_reward_that_falls_with_verbosity_keeps_falling_and_the_root_does_not_let_it() -> None:
    r, v = related(-0.8, 0.4)
    grid = fit_debiasing(r[:, None], v[:, None], ["length"], ["falling"], SETTINGS)
    root = fit_debiasing(
        r[:, None], v[:, None], ["length"], ["falling"], SETTINGS.model_copy(update={"method": "root"})
    )
    assert grid.lambdas[0, 0] == 0.0
    assert grid.after[0, 0] < -0.5
    assert list(grid.not_taken_out()) == ["falling"]
    assert abs(root.after[0, 0]) < 0.01


def test_another_threshold_stops_elsewhere() -> None:
    r, v = related(0.6, 0.4)
    assert first_on_grid(r, v, spearman, 0.3) < first_on_grid(r, v, spearman, 0.0)
