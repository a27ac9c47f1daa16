"""A slow device seals a planned shard in parts: the work of so many seconds is all that a kill can lose."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.lease import holder
from extract.backbone import Backbone
from extract.open_shard import OpenShard
from extract.packing import PackLayout, Request
from extract.plan import PlannedShard, plan_shards
from extract.ray.shard_rows import to_row
from extract.ray.shard_worker import ShardWorker
from extract.run import Outcome, fill
from extract.settings import BackboneSettings
from extract.shard_writer import Part
from tests.extract.test_run import CountingEngine, files_of, new_store, stored_bytes

PACK_TOKENS, ONE_SHARD = 256, 10**6
NO_ROWS = np.empty(0, np.int64)
A_PART: Part = (
    PackLayout(NO_ROWS, NO_ROWS, (), np.empty((0, 16), np.uint8), NO_ROWS, NO_ROWS.astype(np.int32)),
    np.empty((0, 1, 16), np.float32),
)


class SlowEngine(CountingEngine):
    """Takes a time for each pack, and fails at one of them."""

    def __init__(self, seconds: float, fails_at: int | None = None) -> None:
        super().__init__()
        self.seconds, self.fails_at = seconds, fails_at

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:
        for number, features in enumerate(super().features(layouts), start=1):
            time.sleep(self.seconds)
            if number == self.fails_at:
                raise OSError("the device is gone")
            yield features


@pytest.fixture
def request_of_one_shard(make_request: Callable[..., Request]) -> Request:
    return make_request(seed=4, prompts=30)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(1, 1000))
def test_the_work_of_an_open_shard_stays_within_the_bound(seconds: list[int], bound: int) -> None:
    now = 0.0
    shard = OpenShard(bound, clock=lambda: now)
    work: list[int] = []
    for pack in seconds:
        now += pack
        work.append(pack)
        shard.add(A_PART)
        if shard.is_full():
            assert sum(work) + max(work) > bound, "there was time for another pack"
            shard.clear()
            assert not shard.is_full()
            work = []
        else:
            assert sum(work) + max(work) <= bound
        assert len(shard.parts) == len(work)


def filled(root: Path, tiny: Backbone, settings: BackboneSettings, request: Request, seconds: float) -> Outcome:
    """Fill a store with an engine that takes 10 ms for a pack."""
    store, engine = new_store(root, tiny, settings), SlowEngine(0.01)
    return fill(store, request, lambda: engine, pack_tokens=PACK_TOKENS, shard_rows=ONE_SHARD, shard_seconds=seconds)


def test_a_slow_device_seals_more_files_with_the_same_rows(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, request_of_one_shard: Request
) -> None:
    whole = filled(tmp_path / "whole", tiny, tiny_settings, request_of_one_shard, seconds=600)
    parts = filled(tmp_path / "parts", tiny, tiny_settings, request_of_one_shard, seconds=0.035)
    store = new_store(tmp_path / "parts", tiny, tiny_settings)
    expected = new_store(tmp_path / "whole", tiny, tiny_settings)
    packs = len(request_of_one_shard.plan({key.tobytes() for key in request_of_one_shard.keys()}, PACK_TOKENS))
    assert parts.features_new == whole.features_new == len(store)
    assert len(expected.entries) == 1
    assert len(store.entries) >= packs / 3 > 2, "a part has more packs than fit the time"
    first = expected.entries[0].shard.stem
    assert [entry.shard.stem for entry in store.entries] == [
        first if number == 1 else f"{first}-{number}" for number in range(1, len(store.entries) + 1)
    ]
    assert stored_bytes(store) == stored_bytes(expected)


def test_a_failure_loses_the_open_part_and_a_second_run_computes_no_more(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, request_of_one_shard: Request
) -> None:
    filled(tmp_path / "whole", tiny, tiny_settings, request_of_one_shard, seconds=600)
    store, engine = new_store(tmp_path / "failed", tiny, tiny_settings), SlowEngine(0.01, fails_at=9)
    sizes = {"pack_tokens": PACK_TOKENS, "shard_rows": ONE_SHARD}
    with pytest.raises(OSError, match="the device is gone"):
        fill(store, request_of_one_shard, lambda: engine, **sizes, shard_seconds=0.035)
    store.refresh()
    files = files_of(store)
    (planned,) = plan_shards(store, request_of_one_shard, request_of_one_shard.keys(), PACK_TOKENS, ONE_SHARD)
    again = CountingEngine()
    fill(store, request_of_one_shard, lambda: again, **sizes)
    packs = len(request_of_one_shard.plan({key.tobytes() for key in request_of_one_shard.keys()}, PACK_TOKENS))
    assert again.passes == len(planned.packs)
    assert packs - 8 <= again.passes <= packs - 8 + 2, "more than the open part was lost"
    assert {name: files_of(store)[name] for name in files} == files
    assert stored_bytes(store) == stored_bytes(new_store(tmp_path / "whole", tiny, tiny_settings))


def test_a_worker_computes_what_a_dead_one_has_not_sealed_of_a_shard(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, request_of_one_shard: Request
) -> None:
    request = request_of_one_shard
    filled(tmp_path / "whole", tiny, tiny_settings, request, seconds=600)
    store = new_store(tmp_path / "workers", tiny, tiny_settings)

    def seal(engine: CountingEngine, shard: PlannedShard) -> str | None:
        worker = ShardWorker(store.folder, holder(store.folder), lambda: engine, 0.035)
        (report,) = worker(to_row(request, shard)).to_pylist()
        failure: str | None = report["failure"]
        return failure

    with store.writing():
        (shard,) = plan_shards(store, request, request.keys(), PACK_TOKENS, ONE_SHARD)
        assert "the device is gone" in str(seal(SlowEngine(0.01, fails_at=9), shard))
        second, third = CountingEngine(), CountingEngine()
        assert seal(second, shard) is None
        assert seal(third, shard) is None
    packs = len(shard.packs)
    assert packs - 8 <= second.passes <= packs - 8 + 2
    assert third.passes == 0
    store.refresh()
    assert stored_bytes(store) == stored_bytes(new_store(tmp_path / "whole", tiny, tiny_settings))
    assert not list(store.folder.glob("plans/*.lock"))
