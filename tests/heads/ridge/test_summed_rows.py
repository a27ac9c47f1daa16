"""A data set that grows is read where it is new; one that loses or changes a row is summed again."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache import FeatureStore, Fingerprint
from cache.sealed_shard import SealedShard
from heads.objectives import Objective
from heads.ridge.from_store import UpdatedStatistics, update_statistics
from heads.ridge.selection import fit_heads
from heads.ridge.summed_rows import FOLDER, added_rows
from heads.ridge.workers import Workers
from heads.settings import HeadSettings

WIDTH, SHARD_ROWS, SHARDS = 32, 500, 6
ROWS = SHARD_ROWS * SHARDS
OBJECTIVES = (Objective(name="helpful", low=0, high=4), Objective(name="safe", low=0, high=4))
FINGERPRINT = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", "packed")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    rng = np.random.default_rng(0)
    store = FeatureStore.create(tmp_path_factory.mktemp("store"), FINGERPRINT, WIDTH)
    keys = rng.integers(0, 256, (ROWS, 16), dtype=np.uint8)
    features = (rng.standard_normal((ROWS, 1, WIDTH)) + 0.5).astype(np.float16).astype(np.float32)
    with store.writing():
        for number in range(SHARDS):
            some = slice(number * SHARD_ROWS, (number + 1) * SHARD_ROWS)
            store.seal(f"{number:08d}", keys[some], np.ones(SHARD_ROWS, np.int32), features[some])
    return FeatureStore.open(store.folder.parent, FINGERPRINT.digest)


@pytest.fixture(scope="module")
def examples(store: FeatureStore) -> pl.DataFrame:
    """Two data sets in the order of the store; some rows rate one objective, a prompt has two responses."""
    rng = np.random.default_rng(1)
    keys = np.concatenate([SealedShard(store.folder, each, store.description).index().keys for each in store.entries])
    ratings = rng.integers(0, 5, (ROWS, 2)).astype(float)
    ratings[rng.random(ROWS) < 0.3, 1] = np.nan
    prompts = np.repeat(rng.integers(0, 256, (ROWS // 2, 16), dtype=np.uint8), 2, axis=0)
    return pl.DataFrame(
        {
            "dataset": np.where(np.arange(ROWS) % 3 == 0, "few", "many"),
            "split": np.where(np.arange(ROWS) // 2 % 5 == 0, "validation", "train"),
            "prompt_key": [bytes(key) for key in prompts],
            "response_key": [bytes(key) for key in keys],
            "helpful": ratings[:, 0],
            "safe": ratings[:, 1],
        }
    )


def update(
    folder: Path, examples: pl.DataFrame, store: FeatureStore, workers: Workers | None = None
) -> UpdatedStatistics:
    return update_statistics(folder, examples, OBJECTIVES, {}, HeadSettings(), store, {}, workers)


def weights(updated: UpdatedStatistics) -> np.ndarray:
    found = fit_heads(updated.statistics, HeadSettings(uncertainty=False), skip_unfit=False)
    return np.stack([head.weight for head in found.objectives])


def assert_as_new(updated: UpdatedStatistics, examples: pl.DataFrame, store: FeatureStore, folder: Path) -> None:
    anew = update(folder, examples, store)
    assert anew.rows_reused == 0
    assert updated.rows_read + updated.rows_reused == len(examples) == anew.rows_read
    assert {key: group.n for key, group in updated.statistics.groups.items()} == {
        key: group.n for key, group in anew.statistics.groups.items()
    }
    np.testing.assert_allclose(weights(updated), weights(anew), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("workers", [None, Workers(2, 1)], ids=["one process", "two"])
def test_only_new_rows_are_read(
    store: FeatureStore, examples: pl.DataFrame, tmp_path: Path, workers: Workers | None
) -> None:
    """New shards, and with them rows of both data sets; then rows in between, in another order."""
    first = examples[: 3 * SHARD_ROWS].filter(pl.int_range(pl.len()) % 10 != 7)
    assert update(tmp_path / "run", first, store, workers).rows_read == len(first)
    more = examples[: 4 * SHARD_ROWS].filter(pl.int_range(pl.len()) % 10 != 7)
    grown = update(tmp_path / "run", more, store, workers)
    assert grown.rows_read == len(more) - len(first)
    assert_as_new(grown, more, store, tmp_path / "more")
    shuffled = examples.sample(fraction=1, shuffle=True, seed=0)
    whole = update(tmp_path / "run", shuffled, store, workers)
    assert whole.rows_read == len(examples) - len(more)
    assert_as_new(whole, shuffled, store, tmp_path / "whole")
    assert update(tmp_path / "run", shuffled, store, workers).rows_read == 0
    parts = shuffled.unique(["dataset", "split"]).height
    assert len(list((tmp_path / "run" / FOLDER).iterdir())) == parts


def test_a_part_that_lost_or_changed_a_row_is_summed_again_and_no_other(
    store: FeatureStore, examples: pl.DataFrame, tmp_path: Path
) -> None:
    update(tmp_path / "run", examples, store)
    few = examples.filter(dataset="few", split="train").height
    at = examples.with_row_index("at").filter(dataset="few", split="train")["at"][0]
    fewer = examples.filter(pl.int_range(pl.len()) != at)
    updated = update(tmp_path / "run", fewer, store)
    assert updated.rows_read == few - 1
    assert_as_new(updated, fewer, store, tmp_path / "fewer")
    changed = fewer.with_columns(
        helpful=pl.when(pl.int_range(pl.len()) == 5).then(4 - pl.col("helpful")).otherwise("helpful")
    )
    part = fewer[5].select("dataset", "split")
    updated = update(tmp_path / "run", changed, store)
    assert updated.rows_read == (0 if fewer["helpful"][5] == 2 else fewer.join(part, on=["dataset", "split"]).height)
    assert_as_new(updated, changed, store, tmp_path / "changed")


def test_without_whole_digests_a_part_that_grew_is_summed_again(
    store: FeatureStore, examples: pl.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = examples[: 3 * SHARD_ROWS]
    for harm in ("missing", "damaged"):
        folder = tmp_path / harm
        update(folder, first, store)
        for path in (folder / FOLDER).iterdir():
            if harm == "missing":
                path.unlink()
            else:
                path.write_bytes(bytes(16) + path.read_bytes()[16:])
        with caplog.at_level(logging.WARNING):
            updated = update(folder, examples, store)
        assert updated.rows_read == len(examples)
        assert ("so all rows that it stands for are summed again" in caplog.text) == (harm == "damaged")
        assert_as_new(updated, examples, store, tmp_path / f"{harm} anew")


rows = st.lists(st.integers(0, 6), max_size=12)


@given(rows, rows)
def test_added_rows_are_those_of_a_multiset(before: list[int], now: list[int]) -> None:
    def digests(numbers: list[int]) -> np.ndarray:
        found = np.zeros((len(numbers), 16), np.uint8)
        found[:, 3], found[:, 12] = np.array(numbers, int) % 3, np.array(numbers, int) // 3
        return found

    added = added_rows(digests(before), digests(now))
    if Counter(before) - Counter(now):
        assert added is None
    else:
        assert added is not None
        assert list(added) == sorted(set(added))
        assert Counter(now[at] for at in added) == Counter(now) - Counter(before)
