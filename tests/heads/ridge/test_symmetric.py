"""Halves of symmetric matrices: products, packing, unpacking, and that Python's lock is free meanwhile."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heads.ridge.symmetric
from heads.ridge.symmetric import add_lower, add_packed, lower_product, mirror, packed_length, packed_width


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32 - 1))
def test_a_product_packed_and_unpacked_is_the_product(n: int, d: int, dtype: type, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)
    lower = np.full((d, d), np.nan, dtype=dtype, order="F")  # what lies above the diagonal is never looked at
    lower_product(x, lower)
    packed = np.zeros(packed_length(d), dtype=dtype)
    add_lower(lower, packed)
    add_lower(lower, packed)
    whole = np.zeros((d, d), order="F")
    add_packed(packed, whole, weight=0.5)
    expected = x.astype(np.float64).T @ x.astype(np.float64)
    np.testing.assert_allclose(mirror(whole), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("add", [False, True])
def test_without_scipys_routines_for_cython_the_product_is_the_same_to_the_bit(
    dtype: type, add: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((300, 70)).astype(dtype)
    outs = [np.asfortranarray(np.tri(70, dtype=dtype)) for _ in range(2)]
    lower_product(x, outs[0], add)
    monkeypatch.setattr(heads.ridge.symmetric, "_SYRK", None)
    lower_product(x, outs[1], add)
    assert outs[0].tobytes() == outs[1].tobytes()


def test_a_square_of_some_columns_can_be_unpacked() -> None:
    matrix = np.arange(49.0).reshape(7, 7)
    matrix += matrix.T
    packed = matrix.T[np.triu_indices(7)].copy()
    square = np.zeros((3, 3), order="F")
    add_packed(packed, square, columns=slice(2, 5))
    np.testing.assert_array_equal(mirror(square), matrix[2:5, 2:5])


def test_mirroring_reaches_across_blocks() -> None:
    matrix = np.random.default_rng(0).standard_normal((600, 600))
    matrix += matrix.T
    lower = np.asfortranarray(np.tril(matrix))
    np.testing.assert_array_equal(mirror(lower), matrix)


def test_the_width_follows_from_the_length() -> None:
    assert [packed_width(packed_length(d)) for d in range(1, 20_000, 7)] == list(range(1, 20_000, 7))


def test_arrays_that_do_not_fit_are_refused() -> None:
    x = np.ones((4, 3), dtype=np.float32)
    for out in (
        np.empty((3, 3), dtype=np.float64, order="F"),
        np.empty((4, 4), dtype=np.float32, order="F"),
        np.empty((3, 3), dtype=np.float32, order="C"),
    ):
        with pytest.raises(ValueError, match="does not go into"):
            lower_product(x, out)
    with pytest.raises(ValueError, match="does not go into"):
        lower_product(np.asfortranarray(x), np.empty((3, 3), dtype=np.float32, order="F"))


def test_other_threads_run_while_a_product_is_made() -> None:
    x = np.ones((4096, 1500))
    out = np.empty((1500, 1500), order="F")
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.05)
    started = time.perf_counter()
    lower_product(x, out)
    ended = time.perf_counter()
    done.set()
    thread.join()
    assert sum(started < at < ended for at in ticks) >= 5
