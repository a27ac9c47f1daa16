"""Standard errors of a suite's scores and margins are those of the features, block by block and row by row."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from cache import FeatureStore
from evaluation import score_errors as module
from evaluation.columns import MARGIN_STD, SCORE_STD, UNFAMILIAR
from evaluation.score_errors import score_errors
from gating.reward import RewardParts
from heads.ridge.uncertainty import NOT_KNOWN
from tests.cache.rows import new_store, seal, some_keys
from tests.export.conftest import random_parts
from tests.export.test_uncertainty import random_uncertainty

LINES = 40
D = 16


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = new_store(tmp_path_factory.mktemp("store"))
    seal(store, "one", 0, LINES)
    return store


@pytest.fixture(scope="module")
def parts() -> RewardParts:
    return replace(random_parts(D, "long"), uncertainty=random_uncertainty(D))


def responses(prompts: list[int]) -> pl.DataFrame:
    """Rows of two and three responses, shuffled; every third line has the prompt of its row in `prompts`."""
    keys = [bytes(key) for key in some_keys(0, LINES)]
    rows = [str(number) for number in np.random.default_rng(0).permutation(np.repeat(np.arange(16), [2] * 8 + [3] * 8))]
    asked = [str(prompts[int(row)] if number % 3 == 0 else row).encode() for number, row in enumerate(rows)]
    columns = {"suite": ["s"] * LINES, "subset": ["x"] * LINES, "row": rows}
    return pl.DataFrame(columns | {"prompt_key": asked, "response_key": keys})


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_errors_of_scores_and_of_every_margin_in_a_row(
    store: FeatureStore, parts: RewardParts, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(module, "BLOCK_LINES", block)
    judged = responses([number if number != 5 else 99 for number in range(16)])
    features = store.gather(some_keys(0, LINES)).reshape(LINES, -1)
    by_prompt = {asked: number for number, asked in enumerate(dict.fromkeys(judged["prompt_key"]))}
    own = np.random.default_rng(1).random((len(by_prompt), 3)).astype(np.float32)
    weights = own[[by_prompt[asked] for asked in judged["prompt_key"]]]
    frame = pl.DataFrame(score_errors(parts, store, judged, {"gate": weights.astype(np.float64)}))
    known = parts.uncertainty
    assert known is not None
    np.testing.assert_allclose(
        frame[SCORE_STD + "gate"], parts.score_std(known.leverages(features), weights), rtol=1e-5
    )
    assert frame[UNFAMILIAR].to_list() == known.unfamiliar(known.leverages(features)).tolist()
    different = 0
    for line in range(LINES):
        row = np.flatnonzero(judged["row"].to_numpy() == judged["row"][line])
        margins = np.array(frame[MARGIN_STD + "gate"][line])
        assert margins.shape == row.shape
        for other, said in zip(row, margins, strict=True):
            if judged["prompt_key"][int(other)] != judged["prompt_key"][line]:
                assert np.isnan(said)
                different += 1
                continue
            leverages = known.margin_leverages(features[[line]], features[[other]])
            assert said == pytest.approx(parts.score_std(leverages, weights[[line]])[0], rel=1e-4, abs=1e-6)
    assert different > 0


def test_nothing_is_said_where_nothing_is_known(store: FeatureStore, parts: RewardParts) -> None:
    judged = responses(list(range(16)))
    weights = {"gate": np.ones((LINES, 3))}
    assert score_errors(replace(parts, uncertainty=None), store, judged, weights) == []
    assert parts.uncertainty is not None
    untold = replace(parts.uncertainty, thresholds=np.full(2, NOT_KNOWN))
    frame = pl.DataFrame(score_errors(replace(parts, uncertainty=untold), store, judged, weights))
    assert frame[UNFAMILIAR].null_count() == LINES
    assert frame[SCORE_STD + "gate"].is_finite().all()


def test_margins_are_lists_where_all_rows_have_two_responses(store: FeatureStore, parts: RewardParts) -> None:
    judged = responses(list(range(16))).filter(pl.len().over("row") == 2)
    weights = {"gate": np.ones((len(judged), 3))}
    frame = pl.DataFrame(score_errors(parts, store, judged, weights))
    assert frame.schema[MARGIN_STD + "gate"] == pl.List(pl.Float32)
    assert frame[MARGIN_STD + "gate"].list.len().to_list() == [2] * 16
