"""Choosing a penalty for each objective on validation rows, and the refit on all rows."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

import heads.ridge.cross_validation
import heads.ridge.path
import heads.ridge.system
from cache import UserError
from heads.ridge.estimator import ridge_paths
from heads.ridge.objective_fit import FittedObjective
from heads.ridge.selection import fit_heads, validation_scores
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import Scope
from heads.settings import HeadSettings

ALPHAS = (0.01, 1.0, 30.0, 1000.0)
NOISE = (0.05, 2.0, 20.0)
"""More noise asks for a stronger penalty."""


class Side(NamedTuple):
    features: NDArray[np.float64]
    targets: NDArray[np.float64]

    def rated(self, objective: int) -> "Side":
        rows = ~np.isnan(self.targets[:, objective])
        return Side(self.features[rows], self.targets[rows, objective])


def planted(seed: int, n: int, d: int = 15, noise: tuple[float, ...] = NOISE) -> tuple[Side, Side]:
    """Training and validation rows of linear objectives with gaps."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((len(noise), d))
    features = rng.standard_normal((2 * n, d))
    targets = features @ weights.T + rng.standard_normal((2 * n, len(noise))) * np.asarray(noise)
    targets = np.where(rng.random(targets.shape) < 0.7, targets, np.nan)
    return Side(features[:n], targets[:n]), Side(features[n:], targets[n:])


def statistics_of(train: Side, validation: Side, **others: Side) -> GramStatistics:
    names = tuple(f"objective-{number}" for number in range(train.targets.shape[1]))
    statistics = GramStatistics(names, train.features.shape[1])
    for split, side in {"train": train, "validation": validation, **others}.items():
        half = len(side.features) // 2
        statistics.add("one", split, side.features[:half], side.targets[:half])
        statistics.add("two", split, side.features[half:], side.targets[half:])
    return statistics


def fit(train: Side, validation: Side, alphas: tuple[float, ...] = ALPHAS) -> tuple[FittedObjective, ...]:
    heads = fit_heads(statistics_of(train, validation), HeadSettings(alphas=alphas), skip_unfit=False)
    fitted, unfit = heads.objectives, heads.skipped
    assert unfit == {}
    return fitted


def errors_by_scikit_learn(
    train: Side, validation: Side, objective: int, alphas: tuple[float, ...] = ALPHAS
) -> list[float]:
    learned, judged = train.rated(objective), validation.rated(objective)
    return [
        float(
            mean_squared_error(judged.targets, Ridge(alpha=alpha, fit_intercept=False).fit(*learned).predict(judged[0]))
        )
        for alpha in alphas
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_chosen_penalty_is_that_of_a_search_with_scikit_learn(seed: int) -> None:
    train, validation = planted(seed, n=60)
    fitted = fit(train, validation)
    for objective, head in enumerate(fitted):
        errors = errors_by_scikit_learn(train, validation, objective)
        assert head.alpha == ALPHAS[int(np.argmin(errors))]
        assert head.validation_mse == pytest.approx(min(errors), rel=1e-6)
        assert head.validation_path == pytest.approx(errors, rel=1e-6)


def test_noisier_objectives_get_stronger_penalties_of_their_own() -> None:
    quiet, middle, loud = fit(*planted(0, n=60))
    assert quiet.alpha < loud.alpha
    assert quiet.alpha <= middle.alpha <= loud.alpha


def test_the_order_of_the_recipes_penalties_does_not_matter() -> None:
    sides = planted(1, n=60)
    for head, other in zip(fit(*sides), fit(*sides, ALPHAS[::-1]), strict=True):
        assert head.alpha == other.alpha
        assert head.validation_path == other.validation_path
        assert head.at_edge == other.at_edge


@pytest.mark.parametrize("seed", range(3))
def test_the_final_head_is_refitted_on_training_and_validation_rows(seed: int) -> None:
    train, validation = planted(seed, n=60)
    both = Side(*(np.concatenate(parts) for parts in zip(train, validation, strict=True)))
    for objective, head in enumerate(fit(train, validation)):
        expected = Ridge(alpha=head.alpha, fit_intercept=False).fit(*both.rated(objective)).coef_
        np.testing.assert_allclose(head.weight, expected, rtol=1e-6, atol=1e-9)
        assert head.rows == len(both.rated(objective).targets)
        assert head.validation_rows == len(validation.rated(objective).targets)


def test_rows_of_another_split_are_never_learned_from() -> None:
    train, validation = planted(2, n=60)
    poison = Side(train.features, train.targets + 1000)
    settings_ = HeadSettings(alphas=ALPHAS)
    clean = fit_heads(statistics_of(train, validation), settings_, skip_unfit=False).objectives
    other = fit_heads(statistics_of(train, validation, test=poison), settings_, skip_unfit=False).objectives
    for head, same in zip(clean, other, strict=True):
        assert head.weight.tobytes() == same.weight.tobytes()
        assert head.validation_path == same.validation_path


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 8))
def test_error_and_correlation_from_sums_equal_those_from_predictions(seed: int, n: int, d: int) -> None:
    train, validation = planted(seed, n, d)
    statistics = statistics_of(train, validation)
    paths = ridge_paths(statistics, Scope(("train",)), ALPHAS)
    errors, correlations = validation_scores(statistics, paths)
    for objective in range(len(NOISE)):
        judged = validation.rated(objective)
        for number, weights in enumerate(paths[:, objective]):
            if np.isnan(weights).any() or len(judged.targets) == 0:
                assert np.isnan(errors[number, objective])
                continue
            predicted = judged.features @ weights
            mse = np.mean((predicted - judged.targets) ** 2)
            assert errors[number, objective] == pytest.approx(mse, rel=1e-6, abs=1e-9)
            if len(judged.targets) > 1 and np.ptp(predicted) > 1e-3:
                pearson = np.corrcoef(predicted, judged.targets)[0, 1]
                assert correlations[number, objective] == pytest.approx(pearson, abs=1e-6)


def test_the_reported_correlation_is_that_of_the_head_fitted_on_training_rows_alone() -> None:
    train, validation = planted(3, n=60)
    for objective, head in enumerate(fit(train, validation)):
        judged = validation.rated(objective)
        predicted = Ridge(alpha=head.alpha, fit_intercept=False).fit(*train.rated(objective)).predict(judged.features)
        assert head.pearson == pytest.approx(np.corrcoef(predicted, judged.targets)[0, 1], abs=1e-9)


def test_the_correlation_is_nan_where_the_ratings_do_not_vary() -> None:
    train, validation = planted(4, n=60, noise=(0.1,))
    (head,) = fit(train, Side(validation.features, np.ones_like(validation.targets)))
    assert np.isnan(head.pearson)
    assert np.isfinite(head.validation_mse)


def test_a_choice_at_the_edge_of_the_penalties_is_flagged() -> None:
    quiet, _, loud = fit(*planted(0, n=60))
    assert (quiet.alpha, quiet.at_edge) == (ALPHAS[0], True)
    assert (loud.alpha, loud.at_edge) == (ALPHAS[-1], True)
    inner = [head for head in fit(*planted(0, n=60), (1e-9, *ALPHAS, 1e9)) if head.alpha in ALPHAS[1:-1]]
    assert inner
    assert not any(head.at_edge for head in inner)


def test_the_only_penalty_is_not_an_edge() -> None:
    assert not any(head.at_edge for head in fit(*planted(0, n=60), (1.0,)))


def few_rated(rows: int) -> tuple[Side, Side]:
    """The second objective is rated by only some training rows."""
    train, validation = planted(5, n=60)
    targets = train.targets.copy()
    targets[:, 1] = np.nan
    targets[:rows, 1] = 1.0
    return Side(train.features, targets), validation


def test_an_objective_with_too_few_training_rows_is_refused_by_name() -> None:
    sentence = (
        r"the objective objective-1 cannot be fitted: it has 19 rated training rows, fewer than"
        r" heads\.minimum_rows = 20; add a rating set .*"
    )
    with pytest.raises(UserError, match=sentence):
        fit_heads(statistics_of(*few_rated(19)), HeadSettings(), skip_unfit=False)


def test_as_many_rows_as_the_minimum_are_enough() -> None:
    heads = fit_heads(statistics_of(*few_rated(20)), HeadSettings(), skip_unfit=False)
    fitted, unfit = heads.objectives, heads.skipped
    assert [head.name for head in fitted] == ["objective-0", "objective-1", "objective-2"]
    assert unfit == {}


def test_an_objective_with_too_few_rows_can_be_skipped_without_changing_the_others() -> None:
    sides = few_rated(19)
    heads = fit_heads(statistics_of(*sides), HeadSettings(alphas=ALPHAS), skip_unfit=True)
    fitted, unfit = heads.objectives, heads.skipped
    assert [head.name for head in fitted] == ["objective-0", "objective-2"]
    assert unfit == {"objective-1": "19 rated training rows, fewer than heads.minimum_rows = 20"}
    for head, objective in zip(fitted, (0, 2), strict=True):
        errors = errors_by_scikit_learn(*sides, objective)
        assert head.alpha == ALPHAS[int(np.argmin(errors))]
        both = Side(*(np.concatenate(parts) for parts in zip(*sides, strict=True))).rated(objective)
        expected = Ridge(alpha=head.alpha, fit_intercept=False).fit(*both).coef_
        np.testing.assert_allclose(head.weight, expected, rtol=1e-6, atol=1e-9)


def test_an_objective_without_validation_rows_is_named_too() -> None:
    train, validation = planted(6, n=60)
    targets = validation.targets.copy()
    targets[:, 2] = np.nan
    statistics = statistics_of(train, Side(validation.features, targets))
    with pytest.raises(UserError, match="objective-2 cannot be fitted: it has no rated validation row"):
        fit_heads(statistics, HeadSettings(), skip_unfit=False)
    unfit = fit_heads(statistics, HeadSettings(), skip_unfit=True).skipped
    assert list(unfit) == ["objective-2"]


def test_when_every_objective_has_too_few_rows_skipping_does_not_help() -> None:
    with pytest.raises(UserError, match="objective-0 cannot be fitted"):
        fit_heads(statistics_of(*planted(7, n=10)), HeadSettings(), skip_unfit=True)


def test_the_continuous_optimum_is_at_least_as_good_as_the_grids_and_near_the_true_one() -> None:
    train, validation = planted(8, n=60)
    statistics = statistics_of(train, validation)
    grid = fit_heads(statistics, HeadSettings(alphas=ALPHAS), skip_unfit=False).objectives
    between = fit_heads(statistics, HeadSettings(alphas=ALPHAS, continuous=True), skip_unfit=False).objectives
    fine = tuple(float(alpha) for alpha in np.geomspace(ALPHAS[0], ALPHAS[-1], 2000))
    for objective, (one, other) in enumerate(zip(grid, between, strict=True)):
        assert other.validation_mse <= one.validation_mse * (1 + 1e-12)
        least = min(errors_by_scikit_learn(train, validation, objective, fine))
        assert other.validation_mse == pytest.approx(least, rel=1e-4)
        expected = errors_by_scikit_learn(train, validation, objective, (other.alpha,))[0]
        assert other.validation_mse == pytest.approx(expected, rel=1e-9)


def test_generalised_cross_validation_looks_at_training_rows_alone() -> None:
    train, validation = planted(9, n=60)
    spoiled = Side(validation.features, -validation.targets)
    chosen = HeadSettings(alphas=ALPHAS, choose="gcv")
    honest = fit_heads(statistics_of(train, validation), chosen, skip_unfit=False).objectives
    other = fit_heads(statistics_of(train, spoiled), chosen, skip_unfit=False).objectives
    assert [head.alpha for head in honest] == [head.alpha for head in other]
    for objective, head in enumerate(honest):
        learned = train.rated(objective)
        n, errors = len(learned.targets), []
        for alpha in ALPHAS:
            x = learned.features
            hat = x @ np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T)
            residual = learned.targets - hat @ learned.targets
            errors.append(np.mean(residual**2) / (1 - np.trace(hat) / n) ** 2)
        assert head.alpha == ALPHAS[int(np.argmin(errors))]


def test_an_objectives_weight_divides_its_penalty() -> None:
    train, validation = planted(10, n=60)
    statistics = statistics_of(train, validation)
    weighted = HeadSettings(alphas=(30.0,), objective_weights={"objective-1": 10.0})
    plain = fit_heads(statistics, HeadSettings(alphas=(30.0,)), skip_unfit=False).objectives
    heads = fit_heads(statistics, weighted, skip_unfit=False).objectives
    both = Side(*(np.concatenate(parts) for parts in zip(train, validation, strict=True)))
    assert heads[0].weight.tobytes() == plain[0].weight.tobytes()
    expected = Ridge(alpha=3.0, fit_intercept=False).fit(*both.rated(1)).coef_
    np.testing.assert_allclose(heads[1].weight, expected, rtol=1e-6, atol=1e-9)
    assert heads[1].alpha == 30.0


def test_a_data_sets_weight_is_that_of_its_rows_in_training_and_validation() -> None:
    train, validation = planted(11, n=60)
    settings_ = HeadSettings(alphas=ALPHAS, dataset_weights={"two": 3.0})
    heads = fit_heads(statistics_of(train, validation), settings_, skip_unfit=False).objectives
    weights = np.where(np.arange(60) < 30, 1.0, 3.0)  # the second half is the second set
    for objective, head in enumerate(heads):
        rated, judged = ~np.isnan(train.targets[:, objective]), ~np.isnan(validation.targets[:, objective])
        errors = []
        for alpha in ALPHAS:
            model = Ridge(alpha=alpha, fit_intercept=False)
            model.fit(train.features[rated], train.targets[rated, objective], sample_weight=weights[rated])
            predicted = model.predict(validation.features[judged])
            actual = validation.targets[judged, objective]
            errors.append(float(mean_squared_error(actual, predicted, sample_weight=weights[judged])))
        assert head.validation_path == pytest.approx(errors, rel=1e-6)


def test_a_set_of_weight_zero_is_left_out() -> None:
    train, validation = planted(12, n=60)
    settings_ = HeadSettings(alphas=ALPHAS, dataset_weights={"two": 0.0})
    heads = fit_heads(statistics_of(train, validation), settings_, skip_unfit=False).objectives
    first, other = (Side(side.features[:30], side.targets[:30]) for side in (train, validation))
    for objective, head in enumerate(heads):
        assert head.validation_path == pytest.approx(errors_by_scikit_learn(first, other, objective), rel=1e-6)


def test_ratings_that_are_all_the_same_are_flagged() -> None:
    train, validation = planted(13, n=60)
    heads = fit(Side(train.features, np.full((60, 2), 0.5)), Side(validation.features, np.full((60, 2), 0.5)))
    assert [head.constant for head in heads] == [True, True]
    assert not any(head.constant for head in fit(train, validation))


@pytest.mark.parametrize("n", [8, 60])
def test_degrees_of_freedom_and_condition_are_those_of_the_final_fit(n: int) -> None:
    train, validation = planted(14, n=60, noise=(1.0,))
    train, validation = (Side(*(array[:n] for array in side)) for side in (train, validation))
    settings_ = HeadSettings(alphas=(2.0,), minimum_rows=2)
    (head,) = fit_heads(statistics_of(train, validation), settings_, skip_unfit=False).objectives
    x = np.concatenate([train.rated(0).features, validation.rated(0).features])
    values = np.linalg.svd(x, compute_uv=False) ** 2
    assert head.degrees_of_freedom == pytest.approx((values / (values + 2.0)).sum(), rel=1e-9)
    assert head.condition == pytest.approx((values.max() + 2.0) / (values.min() + 2.0), rel=1e-6)


def test_one_layer_of_two_is_fitted_as_if_it_were_alone() -> None:
    train, validation = planted(15, n=60)
    rng = np.random.default_rng(0)
    wide = [
        Side(np.hstack([rng.standard_normal((60, 15)), side.features]), side.targets) for side in (train, validation)
    ]
    statistics = GramStatistics(("a", "b", "c"), 30, layers=2)
    for split, side in zip(("train", "validation"), wide, strict=True):
        statistics.add("set", split, side.features, side.targets)
    heads = fit_heads(statistics, HeadSettings(alphas=ALPHAS, layer=1), skip_unfit=False).objectives
    for head, alone in zip(heads, fit(train, validation), strict=True):
        assert head.alpha == alone.alpha
        np.testing.assert_allclose(head.weight, alone.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"choose": "gcv"}, {"continuous": True}, {"uncertainty": True}])
def test_wide_features_are_fitted_by_factors_to_the_same_heads(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation = planted(16, n=400, d=120)
    statistics = statistics_of(train, validation)
    alphas = tuple(10.0 ** np.arange(-2, 5))
    settings_ = HeadSettings(alphas=alphas, **options)
    narrow = fit_heads(statistics, settings_, skip_unfit=False).objectives
    monkeypatch.setattr(heads.ridge.path, "EIGEN_WIDTH", 50)
    monkeypatch.setattr(heads.ridge.system, "EIGEN_WIDTH", 50)
    monkeypatch.setattr(heads.ridge.cross_validation, "EIGEN_WIDTH", 50)
    wide = fit_heads(statistics, settings_, skip_unfit=False).objectives
    for one, other in zip(narrow, wide, strict=True):
        if not options.get("continuous"):
            assert other.alpha == one.alpha
            np.testing.assert_allclose(other.weight, one.weight, rtol=1e-5, atol=1e-7)
            assert other.degrees_of_freedom == pytest.approx(one.degrees_of_freedom, abs=6)
        assert other.validation_mse == pytest.approx(one.validation_mse, rel=1e-4)
        assert other.validation_path == pytest.approx(one.validation_path, rel=5e-5)
