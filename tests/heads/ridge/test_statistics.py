"""The ridge's statistics: against float64 products, whole against parts, grouped by who rated what."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from heads.ridge.group import BLOCK_ROWS
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.subset import FRACTIONS, HELD_OUT, LEARNED, GroupKey, Scope, Subset

Masked = tuple[NDArray[np.float64], NDArray[np.float64]]
Product = Literal["float32", "float64"]


@st.composite
def masked_rows(draw: st.DrawFn) -> Masked:
    """Features (n, d) and targets (n, k) of which any may be missing."""
    n, d, k = draw(st.integers(0, 30)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rated = rng.random((n, k)) < draw(st.floats(0, 1))
    return rng.standard_normal((n, d)), np.where(rated, rng.random((n, k)), np.nan)


def empty(features: NDArray[np.floating], targets: NDArray[np.float64], **options: Any) -> GramStatistics:
    names = tuple(f"objective {number}" for number in range(targets.shape[1]))
    return GramStatistics(names, features.shape[1], **options)


def statistics_of(features: NDArray[np.floating], targets: NDArray[np.float64], **options: Any) -> GramStatistics:
    statistics = empty(features, targets, **options)
    statistics.add("set", "train", features, targets)
    return statistics


def only_sums(statistics: GramStatistics) -> GramStatistics:
    """Statistics with all rows multiplied."""
    for group in statistics.groups.values():
        group.multiply(statistics._scratch)
        assert not group.is_rows or group.n == 0
    return statistics


def assert_sums_of_rows(subset: Subset, x: NDArray[Any], y: NDArray[np.float64], tolerance: float = 1e-12) -> None:
    """Compare with products in float64; y has NaN where not rated."""
    x, y = x.astype(np.float64), np.nan_to_num(y)
    assert subset.n == len(x)
    size = np.linalg.norm(x, axis=0)  # (d,)
    np.testing.assert_allclose(
        subset.xx() / np.outer(size, size), x.T @ x / np.outer(size, size), rtol=0, atol=tolerance
    )
    np.testing.assert_allclose(subset.xy / size[:, None], x.T @ y / size[:, None], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(subset.x / size, x.sum(axis=0) / size, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(subset.y, y.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(subset.yy, np.square(y).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("multiplied", [False, True])
@settings(deadline=None)
@given(rows=masked_rows())
def test_sums_of_an_objective_are_those_of_the_rows_that_rate_it(rows: Masked, multiplied: bool) -> None:
    features, targets = rows
    statistics = statistics_of(features, targets)
    if multiplied:
        only_sums(statistics)
    for objective in range(targets.shape[1]):
        rated = ~np.isnan(targets[:, objective])
        if rated.any():
            assert_sums_of_rows(statistics.subset(objective), features[rated], targets[rated])
        else:
            assert statistics.subset(objective).n == 0


def test_float16_features_in_many_blocks_are_summed_within_a_hundred_thousandth_of_float64() -> None:
    rng = np.random.default_rng(1)
    features = (rng.standard_normal((4 * BLOCK_ROWS + 17, 96)) + 2.0).astype(np.float16)
    targets = rng.random((len(features), 3))
    statistics = only_sums(statistics_of(features.astype(np.float32), targets, storage="float16", product="float32"))
    statistics.flush()
    (packed,) = (group.packed(0) for group in statistics.groups.values())
    assert packed is not None
    assert packed.dtype == np.float32
    x = features.astype(np.float64)
    np.testing.assert_allclose(statistics.subset(0).xx(), x.T @ x, rtol=1e-5)
    assert_sums_of_rows(statistics.subset(0), features, targets, tolerance=1e-5)


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32"])
def test_columns_ten_thousand_times_larger_than_others_cost_the_small_ones_nothing(storage: Any) -> None:
    rng = np.random.default_rng(2)
    features = (rng.standard_normal((3 * BLOCK_ROWS, 64)) * np.geomspace(1, 1e4, 64)).astype(np.float32)
    features = (features.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)  # numbers of bfloat16
    if storage == "float16":
        features = features.astype(np.float16).astype(np.float32)
    statistics = only_sums(statistics_of(features, np.ones((len(features), 1)), storage=storage, product="float32"))
    assert_sums_of_rows(statistics.subset(0), features, np.ones((len(features), 1)), tolerance=1e-5)


def test_half_a_million_equal_rows_whose_rounding_never_cancels_are_within_a_hundred_thousandth() -> None:
    features = np.full((500_000, 1), 1 + 2**-20, dtype=np.float32)
    statistics = statistics_of(features, np.ones((len(features), 1)), storage="float32", product="float32")
    xx = only_sums(statistics).subset(0).xx()[0, 0]
    assert xx == pytest.approx(len(features) * float(features[0, 0]) ** 2, rel=1e-5)


def test_float64_features_stay_float64() -> None:
    features = np.array([[1.0 + 2.0**-40]])
    for statistics in (statistics_of(features, np.ones((1, 1))), only_sums(statistics_of(features, np.ones((1, 1))))):
        xx = statistics.subset(0).xx()
        assert xx[0, 0] == features[0, 0] ** 2
        assert xx[0, 0] != 1.0


def test_rows_are_kept_while_they_are_smaller_than_the_matrix_and_no_longer() -> None:
    width = 2048
    features = np.random.default_rng(3).standard_normal((100, width)).astype(np.float16).astype(np.float32)
    statistics = GramStatistics(("a",), width, storage="float16")
    most = statistics.layout.kept_rows
    assert most * width * 2 <= width * (width + 1) // 2 * 4 < (most + 1) * width * 2
    sizes = []
    for _ in range(21):
        statistics.add("set", "train", features, np.ones((100, 1)))
        (group,) = statistics.groups.values()
        assert group.is_rows == (group.n <= most)
        sizes.append(group.bytes)
    statistics.flush()
    assert max(sizes[:-1]) <= width * (width + 1) // 2 * 4 + 2100 * 8
    assert group.bytes == width * (width + 1) // 2 * 4


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32", "float64"])
def test_kept_rows_come_back_as_they_were(storage: Any) -> None:
    features = np.array([[1.5, -0.0], [2.0**-10, 96.0]], dtype=np.float32)
    statistics = statistics_of(features, np.array([[0.5], [0.25]]), storage=storage)
    x, y, weights = statistics.subset(0).rows()
    assert x.tobytes() == features.astype(np.float64).tobytes()
    assert (y.tolist(), weights.tolist()) == ([[0.5], [0.25]], [1.0, 1.0])


def test_multiplied_rows_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="only sums are left"):
        only_sums(statistics_of(np.ones((3, 2)), np.ones((3, 1)))).subset(0).rows()


def test_rows_are_grouped_by_data_set_split_fraction_and_what_is_rated() -> None:
    statistics = GramStatistics(("a", "b"), 1)
    targets = np.array([[1.0, np.nan], [np.nan, 1.0], [1.0, 1.0], [np.nan, np.nan], [0.0, np.nan]])
    statistics.add("one", "train", np.ones((5, 1)), targets)
    statistics.add("one", "validation", np.ones((5, 1)), targets)
    statistics.add("two", "train", np.ones((2, 1)), targets[:2], np.array([0, 3]))
    assert {key: group.n for key, group in statistics.groups.items()} == {
        GroupKey("one", "train", 0, (True, False)): 2,
        GroupKey("one", "train", 0, (False, True)): 1,
        GroupKey("one", "train", 0, (True, True)): 1,
        GroupKey("one", "validation", 0, (True, False)): 2,
        GroupKey("one", "validation", 0, (False, True)): 1,
        GroupKey("one", "validation", 0, (True, True)): 1,
        GroupKey("two", "train", 0, (True, False)): 1,
        GroupKey("two", "train", 3, (False, True)): 1,
    }
    assert statistics.subset(0, LEARNED).n == 4
    assert statistics.subset(1, LEARNED).n == 3
    assert statistics.subset(0, HELD_OUT).n == 3
    assert statistics.subset(0, Scope(("train", "validation"))).n == 7
    assert statistics.subset(None, Scope(("train", "validation"))).n == 10
    assert statistics.subset(0, Scope(("test",))).n == 0
    assert statistics.subset(1, Scope(datasets=frozenset({"one"}))).n == 2
    assert statistics.subset(1, Scope(fraction=0.5)).n == 2


def test_a_larger_fraction_holds_every_smaller_one() -> None:
    rng = np.random.default_rng(4)
    features, buckets = rng.standard_normal((40, 3)), rng.integers(0, len(FRACTIONS), 40)
    statistics = GramStatistics(("a",), 3)
    statistics.add("set", "train", features, np.ones((40, 1)), buckets)
    for place, fraction in enumerate(FRACTIONS):
        some = features[buckets <= place]
        np.testing.assert_allclose(statistics.subset(0, Scope(fraction=fraction)).xx(), some.T @ some, rtol=1e-12)
    with pytest.raises(ValueError, match=r"a fraction of 0\.3 was not counted"):
        Scope(fraction=0.3)


@pytest.mark.parametrize("multiplied", [False, True])
def test_a_data_set_of_weight_two_counts_as_if_it_were_there_twice(multiplied: bool) -> None:
    rng = np.random.default_rng(5)
    one, two, y = rng.standard_normal((6, 4)), rng.standard_normal((7, 4)), rng.random((7, 1))
    statistics = GramStatistics(("a",), 4)
    statistics.add("one", "train", one, y[:6])
    statistics.add("two", "train", two, y)
    if multiplied:
        only_sums(statistics)
    weighted = statistics.subset(0, Scope(weights={"two": 2.0}))
    x, targets = np.concatenate([one, two, two]), np.concatenate([y[:6], y, y])
    assert (weighted.n, weighted.weight_sum) == (13, 20.0)
    np.testing.assert_allclose(weighted.xx(), x.T @ x, rtol=1e-12)
    np.testing.assert_allclose(weighted.xy, x.T @ targets, rtol=1e-12)
    np.testing.assert_allclose(weighted.yy, (targets**2).sum(axis=0), rtol=1e-12)
    heads = rng.standard_normal((3, 4))
    np.testing.assert_allclose(weighted.squares(heads), np.square(x @ heads.T).sum(axis=0), rtol=1e-12)
    assert statistics.subset(0, Scope(weights={"two": 0.0})).n == 6


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("multiplied", [False, True])
def test_one_layer_of_several_is_summed_as_if_it_were_alone(joint: bool, multiplied: bool) -> None:
    rng = np.random.default_rng(6)
    features, targets = rng.standard_normal((30, 12)), rng.random((30, 2))
    statistics = statistics_of(features, targets, layers=3, joint=joint)
    if multiplied:
        only_sums(statistics)
    for layer in range(3):
        columns = slice(4 * layer, 4 * layer + 4)
        subset = statistics.subset(0, Scope(layer=layer))
        assert_sums_of_rows(subset, features[:, columns], targets)
        heads = rng.standard_normal((2, 4))
        np.testing.assert_allclose(
            subset.squares(heads), np.square(features[:, columns] @ heads.T).sum(axis=0), rtol=1e-12
        )
    with pytest.raises(ValueError, match="there is no layer 3"):
        statistics.subset(0, Scope(layer=3))
    if joint:
        assert_sums_of_rows(statistics.subset(0), features, targets)
    else:
        with pytest.raises(ValueError, match="each layer by itself"):
            statistics.subset(0)


def test_groups_that_do_not_fit_into_memory_lie_on_disk_and_give_the_same_sums(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    limited = GramStatistics(("a", "b"), 64, spill=tmp_path, memory_bytes=100_000)
    free = GramStatistics(("a", "b"), 64)
    for round_ in range(3):
        for name in ("one", "two", "three", "four"):
            features, targets = rng.standard_normal((70, 64)), rng.random((70, 2))
            targets[:20, 1] = np.nan
            for statistics in (limited, free):
                statistics.add(name, "train", features, targets)
                if round_ == 1 and name == "two":
                    only_sums(statistics)
        assert sum(group.bytes for group in limited.groups.values()) <= 100_000
    assert list(tmp_path.iterdir())
    for objective in range(2):
        assert limited.subset(objective).xx().tobytes() == free.subset(objective).xx().tobytes()
        assert limited.subset(objective).xy.tobytes() == free.subset(objective).xy.tobytes()


def test_a_matrix_on_disk_is_read_for_a_block_of_rows_and_not_for_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    names = [f"set {number}" for number in range(8)]
    features, targets = rng.standard_normal((8 * 3000, 64)), rng.random((8 * 3000, 1))
    whole, a_matrix = 8 * 3000 * 64 * 8, 64 * 65 // 2 * 8
    limited = GramStatistics(("a",), 64, spill=tmp_path, memory_bytes=whole // 6)
    write, written = StoredArrays.write, []
    monkeypatch.setattr(StoredArrays, "write", lambda path, *rest: written.append(path) or write(path, *rest))
    for start in range(0, len(features), 80):
        for number, name in enumerate(names):
            some = slice(start + 10 * number, start + 10 * number + 10)
            limited.add(name, "train", features[some], targets[some])
            assert sum(group.bytes for group in limited.groups.values()) <= whole // 6
    limited.flush()
    assert all(not group.is_rows for group in limited.groups.values())
    assert a_matrix < whole // 6
    assert 0 < len(written) <= 8 * 3000 / 150
    assert_sums_of_rows(limited.subset(0), features, targets)


def test_an_unrated_row_counts_nowhere() -> None:
    assert statistics_of(np.ones((3, 2)), np.full((3, 2), np.nan)).groups == {}


def test_the_sum_is_the_same_to_the_bit_in_every_order_of_adding_data_sets() -> None:
    rng = np.random.default_rng(2)
    rows = {f"set {number}": (rng.standard_normal((7, 8)), rng.random((7, 1))) for number in range(12)}
    forward, backward = GramStatistics(("a",), 8), GramStatistics(("a",), 8)
    for name in rows:
        forward.add(name, "train", *rows[name])
    for name in reversed(rows):
        backward.add(name, "train", *rows[name])
    for statistics in (forward, backward):
        only_sums(statistics)
    assert forward.subset(0).xx().tobytes() == backward.subset(0).xx().tobytes()
    assert forward.subset(0).xy.tobytes() == backward.subset(0).xy.tobytes()


@pytest.mark.parametrize(
    ("features", "targets"),
    [((4, 2), (4, 2)), ((4, 3), (4, 1)), ((4, 3), (3, 2)), ((4, 3), (4,)), ((3, 4), (4, 2)), ((3,), (3, 2))],
)
def test_shapes_that_do_not_fit_are_refused(features: tuple[int, ...], targets: tuple[int, ...]) -> None:
    statistics = GramStatistics(("a", "b"), 3)
    with pytest.raises(ValueError, match="do not fit these statistics"):
        statistics.add("set", "train", np.ones(features), np.ones(targets))
    assert statistics.groups == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_refused_and_nothing_is_counted(bad: float) -> None:
    features = np.ones((3, 2))
    features[1, 0] = bad
    statistics = GramStatistics(("a",), 2)
    with pytest.raises(ValueError, match="set: a feature is not finite"):
        statistics.add("set", "train", features, np.ones((3, 1)))
    with pytest.raises(ValueError, match="a target is infinite"):
        statistics.add("set", "train", np.ones((1, 2)), np.array([[np.inf]]))
    assert statistics.groups == {}


def test_columns_that_are_not_layers_of_one_width_are_refused() -> None:
    with pytest.raises(ValueError, match="7 columns are not 2 layers"):
        GramStatistics(("a",), 7, layers=2)


def test_rows_that_wait_in_many_groups_take_bounded_memory_and_count_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6000, 64)).astype(np.float32)
    y = np.where(rng.integers(0, 5, 6000)[:, None] == np.arange(5), rng.random((6000, 5)), np.nan)
    limit = 200 * 64 * 4
    monkeypatch.setattr("heads.ridge.layout.KEPT_BYTES", 100 * 64 * 4)
    monkeypatch.setattr("heads.ridge.statistics.BUFFER_BYTES", limit)
    statistics = empty(x, y, storage="float32")
    most = 0
    for start in range(0, 6000, 50):
        statistics.add("set", "train", x[start : start + 50], y[start : start + 50])
        most = max(most, sum(group.buffered_bytes for group in statistics.groups.values()))
    assert limit / 2 < most <= limit
    for objective in range(5):
        rated = ~np.isnan(y[:, objective])
        assert_sums_of_rows(statistics.subset(objective), x[rated], y[rated])
