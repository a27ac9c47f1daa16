"""Ablations from statistics equal what fitting again on the rows themselves gives."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from heads.ridge.ablations import RECOMBINATION_ALPHAS, RidgeAblations
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import FRACTIONS, LEARNED
from heads.settings import HeadSettings

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
SETTINGS = HeadSettings(alphas=ALPHAS)
NAMES = ("clear", "kind", "copy of kind", "rare")
D = 6
"""Columns of each of two layers."""


class Rows(NamedTuple):
    dataset: NDArray[np.str_]
    split: NDArray[np.str_]
    bucket: NDArray[np.int64]
    features: NDArray[np.float64]
    targets: NDArray[np.float64]


def planted(seed: int = 0, n: int = 900) -> Rows:
    """Three data sets: one rates all but 'rare', one 'clear' alone, one 'rare' alone."""
    rng = np.random.default_rng(seed)
    dataset = rng.choice(["all", "clear only", "rare only"], n, p=[0.5, 0.3, 0.2])
    features = rng.standard_normal((n, 2 * D))
    features[:, 0] += 2.0  # not centred, as features of a backbone are not
    weights = rng.standard_normal((2 * D, 4))
    weights[:, 2] = weights[:, 1]
    weights[D:, 3] = 0.0  # 'rare' stands in the first layer alone
    targets = features @ weights + rng.standard_normal((n, 4)) * np.array([2.0, 1.0, 1.0, 1.0])
    rated = np.array([[True, True, True, False], [True, False, False, False], [False, False, False, True]])
    targets[~rated[np.unique(dataset, return_inverse=True)[1]]] = np.nan
    split = np.where(rng.random(n) < 0.25, "validation", "train")
    bucket = np.where(split == "train", np.searchsorted(FRACTIONS, rng.random(n), side="right"), 0)
    return Rows(dataset, split, bucket, features, targets)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return planted()


@pytest.fixture(scope="module")
def statistics(rows: Rows) -> GramStatistics:
    made = GramStatistics(NAMES, 2 * D, layers=2)
    for dataset in np.unique(rows.dataset):
        for split in ("train", "validation"):
            some = (rows.dataset == dataset) & (rows.split == split)
            made.add(dataset, split, rows.features[some], rows.targets[some], rows.bucket[some])
    return made


@pytest.fixture(scope="module")
def chosen(statistics: GramStatistics) -> dict[str, float]:
    fitted = fit_heads(statistics, SETTINGS, skip_unfit=False).objectives
    return {head.name: head.alpha for head in fitted}


@pytest.fixture(scope="module")
def ablations(statistics: GramStatistics, chosen: dict[str, float]) -> RidgeAblations:
    return RidgeAblations(statistics, chosen, SETTINGS)


def again(
    rows: Rows, name: str, alphas: list[float], learn: NDArray[np.bool_], columns: slice = slice(None)
) -> tuple[int, float, float, float]:
    """Rows, penalty, error and correlation by scikit-learn's ridge on the rows themselves."""
    target = rows.targets[:, NAMES.index(name)]
    train = learn & (rows.split == "train") & ~np.isnan(target)
    held_out = (rows.split == "validation") & ~np.isnan(target)
    best = (0, 0.0, np.inf, 0.0)
    for alpha in alphas:
        model = Ridge(alpha=alpha, fit_intercept=False).fit(rows.features[train][:, columns], target[train])
        predicted = model.predict(rows.features[held_out][:, columns])
        mse = float(np.mean((predicted - target[held_out]) ** 2))
        if mse < best[2]:
            best = (int(train.sum()), alpha, mse, float(np.corrcoef(predicted, target[held_out])[0, 1]))
    return best


def near(chosen: dict[str, float], *names: str) -> list[float]:
    places = {ALPHAS.index(chosen[name]) + step for name in names for step in (-1, 0, 1)}
    return [ALPHAS[place] for place in sorted(places) if 0 <= place < len(ALPHAS)]


def test_fitting_on_everything_gives_the_run_s_own_scores(
    statistics: GramStatistics, ablations: RidgeAblations
) -> None:
    fitted = fit_heads(statistics, SETTINGS, skip_unfit=False).objectives
    for head in fitted:
        score = ablations.fit(LEARNED, [head.name])[head.name]
        assert score.alpha == head.alpha
        assert (score.mse, score.pearson) == pytest.approx((head.validation_mse, head.pearson))


def test_without_a_data_set_objectives_are_lost_changed_or_left_alone(
    rows: Rows, chosen: dict[str, float], ablations: RidgeAblations
) -> None:
    left = ablations.without_dataset("all")
    assert left.skipped == {"kind": 0, "copy of kind": 0}
    assert list(left.objectives) == ["clear"]  # 'rare' has the rows it had
    score = left.objectives["clear"]
    expected = again(rows, "clear", near(chosen, "clear"), rows.dataset != "all")
    assert (score.rows, score.alpha) == expected[:2]
    assert (score.mse, score.pearson) == pytest.approx(expected[2:])


def test_an_objective_with_too_few_rows_left_is_lost(
    rows: Rows, statistics: GramStatistics, chosen: dict[str, float]
) -> None:
    clear_only = int(((rows.dataset == "clear only") & (rows.split == "train")).sum())
    strict = RidgeAblations(
        statistics, chosen, SETTINGS.model_copy(update={"minimum_rows": clear_only + 1})
    ).without_dataset("all")
    assert strict.skipped == {"clear": clear_only, "kind": 0, "copy of kind": 0}
    assert strict.objectives == {}


@pytest.mark.parametrize("fraction", FRACTIONS[:-1])
def test_a_fraction_of_the_rows_is_fitted_as_those_rows_are(
    rows: Rows, chosen: dict[str, float], ablations: RidgeAblations, fraction: float
) -> None:
    names = ["kind", "copy of kind"]
    learn = rows.bucket <= FRACTIONS.index(fraction)
    for name, score in ablations.at_fraction(fraction, names).items():
        expected = again(rows, name, near(chosen, *names), learn)
        assert score.rows == expected[0]
        assert (score.mse, score.pearson) == pytest.approx(expected[2:])


def test_a_layer_is_fitted_as_its_columns_are(rows: Rows, chosen: dict[str, float], ablations: RidgeAblations) -> None:
    everything = np.ones(len(rows.split), dtype=bool)
    scores = [ablations.at_layer(place, NAMES) for place in (0, 1)]
    for place, columns in enumerate((slice(0, D), slice(D, 2 * D))):
        for name in NAMES:
            expected = again(rows, name, near(chosen, *NAMES), everything, columns)
            assert (scores[place][name].mse, scores[place][name].pearson) == pytest.approx(expected[2:])
    assert scores[0]["rare"].mse < 0.5 * scores[1]["rare"].mse


def test_what_others_know_is_their_best_combination(
    rows: Rows, chosen: dict[str, float], ablations: RidgeAblations
) -> None:
    weights = np.stack(
        [
            Ridge(alpha=chosen[name], fit_intercept=False)
            .fit(
                *(
                    array[(rows.split == "train") & ~np.isnan(rows.targets[:, number])]
                    for array in (rows.features, rows.targets[:, number])
                )
            )
            .coef_
            for number, name in enumerate(NAMES)
        ]
    )
    np.testing.assert_allclose(ablations.weight, weights, rtol=1e-6, atol=1e-9)
    rewards = rows.features @ weights.T
    for number, name in enumerate(NAMES):
        target = rows.targets[:, number]
        train, held_out = ((rows.split == split) & ~np.isnan(target) for split in ("train", "validation"))
        others = np.delete(rewards, number, axis=1)
        others = others / others[train].std(axis=0)
        errors = []
        for penalty in RECOMBINATION_ALPHAS:
            model = Ridge(alpha=penalty * train.sum()).fit(others[train], target[train])
            errors.append(np.mean((model.predict(others[held_out]) - target[held_out]) ** 2))
        assert ablations.from_others(name).mse == pytest.approx(min(errors), rel=1e-6)


def test_a_copy_is_known_by_its_original_and_a_loner_by_nobody(ablations: RidgeAblations) -> None:
    copy, own = ablations.from_others("copy of kind"), ablations.fit(LEARNED, ["copy of kind"])["copy of kind"]
    assert copy.pearson > own.pearson - 0.02
    assert next(iter(copy.weights)) == "kind"
    loner, own = ablations.from_others("rare"), ablations.fit(LEARNED, ["rare"])["rare"]
    assert loner.pearson < own.pearson - 0.1


def test_an_objective_alone_has_no_others(statistics: GramStatistics) -> None:
    with pytest.raises(ValueError, match="kind is the only objective"):
        RidgeAblations(statistics, {"kind": 1.0}, SETTINGS).from_others("kind")


def test_objectives_that_were_not_fitted_are_nowhere(statistics: GramStatistics, chosen: dict[str, float]) -> None:
    fitted = {name: alpha for name, alpha in chosen.items() if name != "clear"}
    ablations = RidgeAblations(statistics, fitted, SETTINGS)
    assert sorted(name for group in ablations.groups for name in group) == sorted(fitted)
    assert ablations.without_dataset("clear only").objectives == {}
    assert set(ablations.from_others("kind").weights) == {"copy of kind", "rare"}


def test_weights_layer_and_penalties_off_the_grid_are_those_of_the_run(rows: Rows, statistics: GramStatistics) -> None:
    settings = SETTINGS.model_copy(
        update={
            "dataset_weights": {"clear only": 3.0},
            "objective_weights": {"clear": 2.0},
            "layer": 1,
            "continuous": True,
        }
    )
    fitted = fit_heads(statistics, settings, skip_unfit=False).objectives
    ablations = RidgeAblations(statistics, {head.name: head.alpha for head in fitted}, settings)
    for head in fitted:
        score = ablations.fit(ablations.learned, [head.name])[head.name]
        assert (score.alpha, score.mse, score.pearson) == pytest.approx(
            (head.alpha, head.validation_mse, head.pearson), rel=1e-6
        )
    target = rows.targets[:, 0]
    train = (rows.split == "train") & ~np.isnan(target)
    weights = np.where(rows.dataset == "clear only", 3.0, 1.0)[train]
    model = Ridge(alpha=ablations.alphas["clear"] / 2.0, fit_intercept=False)
    model.fit(rows.features[train][:, D:], target[train], sample_weight=weights)
    np.testing.assert_allclose(ablations.weight[0], model.coef_, rtol=1e-6)


def test_penalties_chosen_without_validation_rows_stay(statistics: GramStatistics) -> None:
    settings = SETTINGS.model_copy(update={"choose": "gcv"})
    fitted = fit_heads(statistics, settings, skip_unfit=False).objectives
    ablations = RidgeAblations(statistics, {head.name: head.alpha for head in fitted}, settings)
    for name, score in ablations.at_fraction(0.25, ["kind"]).items():
        assert score.alpha == ablations.alphas[name]
