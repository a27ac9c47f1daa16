"""Workers of the same number of workers write together; every other mix of writers is refused by name."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cache import FeatureStore, UserError
from cache.verify import verify
from cache.worker import ALONE, Worker
from tests.cache.rows import new_store, seal, some_features, some_keys
from tests.conftest import ROOT

HOLD = """
import sys, time
from pathlib import Path
from cache import FeatureStore
from cache.worker import Worker
with FeatureStore.open(Path(sys.argv[1]), sys.argv[2]).writing(Worker(int(sys.argv[3]), int(sys.argv[4]))):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(store: FeatureStore, worker: Worker) -> Iterator[int]:
    """Another process holds the lease of this worker while the block runs; its number."""
    arguments = [str(store.folder.parent), store.fingerprint.digest, str(worker.number), str(worker.of)]
    with subprocess.Popen([sys.executable, "-c", HOLD, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Worker(1, 2), ALONE),
        (ALONE, Worker(1, 2)),
        (Worker(1, 2), Worker(1, 3)),
        (Worker(2, 3), Worker(2, 2)),
        (Worker(1, 2), Worker(1, 2)),
        (Worker(1, 2), Worker(1, 12)),
        (Worker(1, 12), Worker(1, 2)),
        (ALONE, ALONE),
    ],
)
def test_writers_that_could_meet_are_refused_with_the_process_that_holds(
    tmp_path: Path, first: Worker, second: Worker
) -> None:
    store = new_store(tmp_path)
    with held(store, first) as process:
        for _ in range(2):  # being refused changes nothing
            with (
                pytest.raises(UserError, match=rf"another process \({process} on .*\) is writing to {store.folder}"),
                store.writing(second),
            ):
                pass
    seal(store, "a", 0, 5)  # and nothing is held any longer
    assert len(store) == 5


def test_workers_of_the_same_number_write_at_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with held(store, Worker(1, 3)), held(store, Worker(2, 3)), store.writing(Worker(3, 3)):
        store.seal("c", some_keys(0, 5), np.arange(5, dtype=np.int32), some_features(0, 5))
    store.refresh()
    assert len(store) == 5


def test_to_repair_a_store_while_a_worker_writes_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 5)
    with held(store, Worker(1, 2)), pytest.raises(UserError, match="is writing to"):
        verify(store.folder, repair=True)
    assert verify(store.folder, repair=True).problems == []


def test_a_worker_leaves_the_open_files_of_others_alone(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 5)
    other = store.folder / "shards" / "b.parquet.partial"
    other.write_bytes(b"half a shard")
    with store.writing(Worker(1, 2)):
        pass
    assert other.exists()
    with store.writing():  # alone, so the files there are a dead writer's
        pass
    assert not other.exists()


def test_workers_that_start_together_all_write(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    work = """
import sys
from pathlib import Path
import numpy as np
from cache.worker import Worker
from tests.cache.rows import new_store, some_features, some_keys
store, number = new_store(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
with store.writing(Worker(number, 4)):
    for shard in range(10):
        rows = (100 * number + 5 * shard, 100 * number + 5 * shard + 5)
        store.seal(f"{number}-{shard}", some_keys(*rows), np.arange(*rows, dtype=np.int32), some_features(*rows))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    writers = [
        subprocess.Popen([sys.executable, "-c", work, str(tmp_path), str(number)], **pipes)  # type: ignore[call-overload]
        for number in (1, 2, 3, 4)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    found = verify(store.folder)
    assert (found.problems, found.leftovers, found.shards, found.rows) == ([], [], 40, 200)


@pytest.mark.parametrize(("number", "of"), [(0, 2), (3, 2), (-1, 2), (1, 0)])
def test_there_is_no_such_worker(number: int, of: int) -> None:
    with pytest.raises(ValueError, match="there is no worker"):
        Worker(number, of)
