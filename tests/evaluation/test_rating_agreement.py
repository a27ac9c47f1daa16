"""Agreement of predicted ratings with given ones."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_squared_error, roc_auc_score

from evaluation.rating_agreement import rating_agreement


def ratings(seed: int, n: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, levels, n) / (levels - 1)
    return targets + rng.normal(0.0, 0.5, n), targets


def test_the_figures_are_scipys_and_scikit_learns_inside_their_intervals() -> None:
    predicted, targets = ratings(0, 400, 5)
    found = rating_agreement(predicted, targets, np.arange(400) // 4)
    assert found.pearson.value == pytest.approx(pearsonr(predicted, targets).statistic)
    assert found.spearman.value == pytest.approx(spearmanr(predicted, targets).statistic)
    assert found.mse.value == pytest.approx(mean_squared_error(targets, predicted))
    assert found.constant_mse == pytest.approx(np.var(targets))
    assert (found.rows, found.prompts, found.auc) == (400, 100, None)
    for estimate in (found.pearson, found.spearman, found.mse):
        assert estimate.low < estimate.value < estimate.high


def test_an_objective_of_two_levels_has_an_auc() -> None:
    predicted, targets = ratings(1, 300, 2)
    found = rating_agreement(predicted, targets, np.arange(300)).auc
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(targets, predicted))
    assert found.low < found.value < found.high


def test_rows_that_share_a_prompt_widen_the_interval() -> None:
    predicted, targets = ratings(2, 100, 5)
    alone = rating_agreement(predicted, targets, np.arange(100)).pearson
    copies = rating_agreement(np.repeat(predicted, 9), np.repeat(targets, 9), np.repeat(np.arange(100), 9)).pearson
    assert copies.low == pytest.approx(alone.low)
    taken_apart = rating_agreement(np.repeat(predicted, 9), np.repeat(targets, 9), np.arange(900)).pearson
    assert taken_apart.high - taken_apart.low < 0.5 * (copies.high - copies.low)


def test_few_prompts_have_figures_and_no_intervals() -> None:
    predicted, targets = ratings(3, 27, 5)
    found = rating_agreement(predicted, targets, np.arange(27) // 3)
    assert found.mse.value == pytest.approx(mean_squared_error(targets, predicted))
    assert np.isnan([found.mse.low, found.mse.high, found.pearson.low]).all()


def test_ratings_that_do_not_vary_have_an_error_and_no_correlation() -> None:
    found = rating_agreement(np.array([0.1, 0.3]), np.array([0.5, 0.5]), np.arange(2))
    assert np.isnan(found.pearson.value)
    assert np.isnan(found.spearman.low)
    assert found.mse.value == pytest.approx(0.1)
    assert found.auc is None


@pytest.mark.parametrize(("predicted", "targets"), [([], []), ([np.nan], [0.5]), ([0.5], [np.nan])])
def test_what_cannot_be_compared_is_refused(predicted: list[float], targets: list[float]) -> None:
    with pytest.raises(ValueError, match="no rating"):
        rating_agreement(np.array(predicted), np.array(targets), np.zeros(len(targets), dtype=np.int64))
