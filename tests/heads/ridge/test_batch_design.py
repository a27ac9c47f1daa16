"""Batches by greedy optimal design: against brute force, falling gains, duplicates, and fewer ratings for an error."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from heads.ridge.batch_design import Batch, Criterion, choose_batch

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
Matrix = NDArray[np.float64]


def penalised(seed: int, rows: int, d: int, alpha: float) -> Matrix:
    """A + alpha I of random rated rows, (d, d)."""
    x = np.random.default_rng(seed).standard_normal((rows, d))
    return x.T @ x + alpha * np.eye(d)


def choose(pool: Matrix, systems: list[Matrix], weights: list[float], count: int, criterion: Criterion) -> Batch:
    roots = [np.linalg.inv(np.linalg.cholesky(system)).T.astype(np.float32) for system in systems]
    blocks = [block.astype(np.float32) for block in np.array_split(pool, 3)]
    return choose_batch(blocks, roots, np.array(weights), count, criterion)


def worth(system: Matrix, pool: Matrix, criterion: Criterion) -> float:
    """The quantity that a batch is to make large, from the whole matrix."""
    if criterion == "d-optimal":
        return float(np.linalg.slogdet(system)[1])
    return -float(np.einsum("nd,de,ne->n", pool, np.linalg.inv(system), pool).mean())


def brute_force(
    pool: Matrix, systems: list[Matrix], weights: list[float], count: int, criterion: Criterion
) -> tuple[list[int], list[float]]:
    rows: list[int] = []
    gains: list[float] = []
    for _ in range(count):
        before = [worth(system, pool, criterion) for system in systems]
        best = {
            row: sum(
                weight * (worth(system + np.outer(pool[row], pool[row]), pool, criterion) - was)
                for weight, system, was in zip(weights, systems, before, strict=True)
            )
            for row in range(len(pool))
            if row not in rows
        }
        row = max(best, key=lambda each: best[each])
        rows.append(row)
        gains.append(best[row])
        systems = [system + np.outer(pool[row], pool[row]) for system in systems]
    return rows, gains


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("seed", range(5))
def test_each_choice_is_that_of_brute_force(seed: int, criterion: Criterion) -> None:
    pool = np.random.default_rng(100 + seed).standard_normal((40, 8)) * np.linspace(0.3, 3, 8)
    systems, weights = [penalised(seed, 5, 8, 0.5), penalised(seed + 50, 20, 8, 2.0)], [3.0, 1.0]
    rows, gains = brute_force(pool, systems, weights, 12, criterion)
    batch = choose(pool, systems, weights, 12, criterion)
    assert batch.rows.tolist() == rows
    np.testing.assert_allclose(batch.gains @ np.array(weights), gains, rtol=1e-3, atol=1e-4 * gains[0])
    inverses = [np.linalg.inv(system) for system in systems]
    expected = np.stack([np.einsum("nd,de,ne->n", pool[rows], inverse, pool[rows]) for inverse in inverses], axis=-1)
    np.testing.assert_allclose(batch.leverages, expected, rtol=1e-4)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 30), d=st.integers(1, 10), alpha=st.floats(0.1, 100))
def test_gains_of_d_optimal_batches_fall(seed: int, n: int, d: int, alpha: float) -> None:
    pool = np.random.default_rng(seed).standard_normal((n, d))
    batch = choose(pool, [penalised(seed + 1, 4, d, alpha)], [1.0], n + 3, "d-optimal")
    gains = batch.gains[:, 0]
    assert sorted(batch.rows.tolist()) == list(range(n))
    assert (gains >= 0).all()
    assert (np.diff(gains) <= 1e-5 * (1 + gains[:-1])).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_near_duplicates_wait_until_all_else_was_chosen(criterion: Criterion) -> None:
    rng = np.random.default_rng(0)
    different = rng.standard_normal((12, 40)) * 3
    copies = different[:1] + 1e-3 * rng.standard_normal((30, 40))
    batch = choose(np.concatenate([copies, different[1:]]), [np.eye(40)], [1.0], 12, criterion)
    assert (batch.rows < 30).sum() == 1


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_planted_head_needs_fewer_ratings_than_by_random_choice(criterion: Criterion) -> None:
    d, noise, alpha = 30, 0.5, 1.0
    popularity = 1.0 / np.arange(1, 41)  # 40 topics, of which a random sample mostly sees the first
    random: list[float] = []
    designed: list[float] = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        topics, head = 2 * rng.standard_normal((40, d)), rng.standard_normal(d)
        topic = rng.choice(40, 2500, p=popularity / popularity.sum())
        pool, test = np.split(topics[topic] + 0.3 * rng.standard_normal((2500, d)), [1500])
        ratings = pool @ head + noise * rng.standard_normal(1500)
        first = np.arange(20)
        batch = choose(pool[20:], [pool[first].T @ pool[first] + alpha * np.eye(d)], [1.0], 100, criterion)
        by_design = np.concatenate([first, 20 + batch.rows])
        for rows, errors in ((np.arange(160), random), (by_design, designed)):
            x = pool[rows]
            fitted = np.linalg.solve(x.T @ x + alpha * np.eye(d), x.T @ ratings[rows])
            errors.append(float(np.square(test @ (fitted - head)).mean()))
    assert len(by_design) == 120
    assert np.mean(designed) < 0.9 * np.mean(random)  # 120 chosen ratings do better than 160 random ones
