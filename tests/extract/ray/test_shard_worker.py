"""A worker seals the shards it is given: once, under its planner's lease, in its planner's store."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock

from cache import FeatureStore, UserError
from cache.lease import hold_as_worker, holder
from extract.backbone import Backbone
from extract.engines.engine import Engine
from extract.engines.packed_attention import CannotPackError
from extract.packing import PackLayout, Request
from extract.plan import plan_shards
from extract.ray.shard_rows import to_row
from extract.ray.shard_worker import MOST_ATTEMPTS, ShardWorker
from extract.settings import BackboneSettings
from tests.conftest import ROOT
from tests.extract.test_run import CountingEngine, new_store


class FailingEngine:
    """Raises when it is to compute."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:  # noqa: ARG002
        raise self.error


class UnusableEngine:
    """Gives nothing that can be stored."""

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:
        for layout in layouts:
            yield np.full((len(layout.keys), 1, 16), np.nan, dtype=np.float32)


@pytest.fixture
def store(tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings) -> Iterator[FeatureStore]:
    """A store whose lease this process holds, as one that plans for workers does."""
    store = new_store(tmp_path, tiny, tiny_settings)
    with store.writing():
        yield store


@pytest.fixture
def rows(store: FeatureStore, make_request: Callable[..., Request]) -> pa.Table:
    request = make_request(seed=8, prompts=20)
    shards = plan_shards(store, request, request.keys(), pack_tokens=256, shard_rows=10)
    assert len(shards) > 2
    return pa.concat_tables([to_row(request, shard) for shard in shards])


def worker(store: FeatureStore, engine: Engine) -> ShardWorker:
    return ShardWorker(store.folder, holder(store.folder), lambda: engine)


def test_every_shard_is_sealed_and_reported_with_its_tokens(store: FeatureStore, rows: pa.Table) -> None:
    reports = worker(store, CountingEngine())(rows).to_pylist()
    store.refresh()
    assert [report["shard"] for report in reports] == [entry.shard.removesuffix(".parquet") for entry in store.entries]
    assert all(report["tokens"] > 0 and report["mistake"] is None and report["failure"] is None for report in reports)
    assert not list(store.folder.glob("plans/*.lock"))
    assert not list(store.folder.glob("plans/*.attempts"))


def test_a_shard_that_comes_again_is_left_alone(store: FeatureStore, rows: pa.Table) -> None:
    first = worker(store, CountingEngine())(rows)
    engine = CountingEngine()
    assert worker(store, engine)(rows) == first
    assert engine.passes == 0
    store.refresh()
    assert len(store.entries) == len(rows)


def test_what_a_user_can_mend_and_what_the_system_says_come_back_as_text(store: FeatureStore, rows: pa.Table) -> None:
    (report,) = worker(store, FailingEngine(UserError("lower backbone.max_tokens")))(rows[:1]).to_pylist()
    assert (report["mistake"], report["failure"]) == ("lower backbone.max_tokens", None)
    (report,) = worker(store, FailingEngine(OSError("no room")))(rows[:1]).to_pylist()
    assert report["mistake"] is None
    assert report["failure"].startswith("no room (on ")
    (report,) = worker(store, FailingEngine(CannotPackError("it has sinks")))(rows[:1]).to_pylist()
    assert (report["cannot_pack"], report["mistake"], report["failure"]) == ("it has sinks", None, None)
    store.refresh()
    assert len(store) == 0


def test_warnings_come_back_with_the_shard_they_belong_to(store: FeatureStore, rows: pa.Table) -> None:
    reports = worker(store, UnusableEngine())(rows).to_pylist()
    assert all(len(report["notes"]) == 1 for report in reports)
    assert all("cannot be stored and are skipped" in report["notes"][0] for report in reports)


def test_a_folder_that_is_not_the_planners_is_refused(store: FeatureStore, rows: pa.Table) -> None:
    elsewhere = ShardWorker(store.folder, json.dumps({"process": 1, "host": "head"}), CountingEngine)
    (report,) = elsewhere(rows[:1]).to_pylist()
    assert "does not find" in report["mistake"]
    assert "put store.root on a file system that all workers see" in report["mistake"]


def test_a_shard_that_kills_its_workers_is_given_up(store: FeatureStore, rows: pa.Table) -> None:
    (name,) = rows[:1]["shard"].to_pylist()
    (store.folder / "plans" / f"{name}.attempts").write_text("host 1\n" * MOST_ATTEMPTS)
    (report,) = worker(store, CountingEngine())(rows[:1]).to_pylist()
    assert report["failure"].startswith(f"shard {name} was given to {MOST_ATTEMPTS} workers and all died of it")
    (report,) = worker(store, CountingEngine())(rows[1:2]).to_pylist()
    assert report["failure"] is None


def test_a_new_run_finds_no_shard_in_hand(tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    store = new_store(tmp_path, tiny, tiny_settings)
    (store.folder / "plans").mkdir()
    for left in ("a-00000.lock", "a-00000.attempts", "a.parquet"):
        (store.folder / "plans" / left).touch()
    with store.writing():
        assert [path.name for path in (store.folder / "plans").iterdir()] == ["a.parquet"]


def test_while_a_worker_lives_no_other_run_begins(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    store = new_store(tmp_path, tiny, tiny_settings)
    code = "import sys; from pathlib import Path; from cache.lease import hold_as_worker;"
    code += "lock = hold_as_worker(Path(sys.argv[1])); print('held', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"another process \({process.pid} on .*\) is writing"), store.writing():
            pass
        process.kill()
    with store.writing():
        pass


def test_workers_hold_locks_of_their_own(tmp_path: Path) -> None:
    locks = [hold_as_worker(tmp_path) for _ in range(3)]
    assert len({lock.lock_file for lock in locks}) == 3
    with pytest.raises(TimeoutError):
        FileLock(locks[1].lock_file, timeout=0).acquire()
    for lock in locks:
        lock.release()
