"""Sums by several processes: those of one, whatever their number, and kept when processes are killed."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import FeatureStore, Fingerprint, UserError
from cache.durable import TEMPORARY
from cache.progress import Progress, silent
from cache.sealed_shard import shard_path
from heads.ridge import segments
from heads.ridge.files import FOLDER, INDEX, Origin, load_statistics, save_statistics
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.segments import large_groups, plan_segments, saved_shards, shards_of
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import GroupKey, Scope
from heads.ridge.workers import Workers, add_rows_with_workers
from heads.settings import HeadSettings
from tests.conftest import ROOT

WIDTH, SHARDS, SHARD_ROWS = 64, 6, 4000
NAMES = ("a", "b", "c")
PARTS = (("one", "train"), ("one", "validation"), ("two", "train"))
FINGERPRINT = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", "packed")
BOTH = Scope(("train", "validation"))


@dataclass(frozen=True)
class Made:
    """A store, and rated rows in it."""

    folder: Path
    rows: RatedRows

    @property
    def store(self) -> FeatureStore:
        return FeatureStore.open(self.folder, FINGERPRINT.digest)


def make(folder: Path, shards: int = SHARDS) -> Made:
    """Rows of which some rate one objective alone, in one shard or two, and some share a response.

    The group of data set one, training rows, all objectives, has a matrix; all others have rows.
    """
    rng = np.random.default_rng(0)
    n = shards * SHARD_ROWS
    store = FeatureStore.create(folder, FINGERPRINT, WIDTH)
    features = (rng.standard_normal((n, WIDTH)) + 0.5).astype(np.float16).astype(np.float32)
    keys = rng.integers(0, 256, (n, 16), dtype=np.uint8)
    with store.writing():
        for number in range(shards):
            some = slice(number * SHARD_ROWS, (number + 1) * SHARD_ROWS)
            store.seal(f"{number:08d}", keys[some], np.ones(SHARD_ROWS, np.int32), features[some, None])
    targets = np.clip(features @ rng.standard_normal((WIDTH, 3)) / 8 + rng.standard_normal((n, 3)), -4, 4)
    part = np.where(rng.random(n) < 0.1, 1, 0)
    shard = np.arange(n) // SHARD_ROWS
    few = rng.random(n) < 0.2
    targets[few & (shard == 1), 1:] = np.nan
    targets[few & (shard >= 3) & (shard < 5), 0] = np.nan
    part[few & (shard == 2)] = 2
    order = rng.permutation(np.concatenate([np.arange(n), np.arange(0, n, 7)]))  # a seventh is rated twice
    return Made(folder, RatedRows(keys, order, targets[order], rng.integers(0, 2, n)[order], part[order], PARTS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("store"))


def empty(spill: Path | None = None) -> GramStatistics:
    return GramStatistics(NAMES, WIDTH, storage="float16", product="float32", spill=spill)


def by_one(made: Made) -> GramStatistics:
    statistics = empty()
    add_rows(statistics, made.store, made.rows, lambda _: None)
    return statistics


def by_several(made: Made, folder: Path, count: int, progress: Progress = silent, **how: Any) -> GramStatistics:
    """As `by_one`; `how` as in `Workers`."""
    statistics = empty(folder / FOLDER)
    add_rows_with_workers(statistics, made.store, made.rows, folder, Workers(count, 1, **how), progress)
    return statistics


def weights(statistics: GramStatistics) -> np.ndarray:
    found = fit_heads(statistics, HeadSettings(uncertainty=False), skip_unfit=False)
    return np.stack([head.weight for head in found.objectives])


def assert_same(several: GramStatistics, one: GramStatistics) -> None:
    """Same groups and rows; sums and heads within rounding."""
    assert several.groups.keys() == one.groups.keys()
    for key, group in one.groups.items():
        other = several.groups[key]
        assert (other.n, other.kept) == (group.n, group.kept)
        for mine, theirs in zip(other.rows(), group.rows(), strict=True):
            np.testing.assert_array_equal(np.sort(mine[0], axis=0), np.sort(theirs[0], axis=0))
    assert {group.is_rows for group in one.groups.values()} == {True, False}
    for objective in range(3):
        mine, theirs = (each.subset(objective, BOTH) for each in (several, one))
        size = np.sqrt(theirs.xx().diagonal())
        np.testing.assert_allclose(mine.xx() / np.outer(size, size), theirs.xx() / np.outer(size, size), atol=1e-6)
        np.testing.assert_allclose(mine.xy, theirs.xy, rtol=1e-6, atol=1e-6 * np.abs(theirs.xy).max())
        np.testing.assert_allclose(mine.yy, theirs.yy, rtol=1e-12)
    one_weights = weights(one)
    assert np.linalg.norm(weights(several) - one_weights) < 1e-6 * np.linalg.norm(one_weights)


def stored(statistics: GramStatistics, folder: Path) -> dict[str, bytes]:
    """The files of saved statistics."""
    save_statistics(folder, statistics, Origin(), {})
    return {path.name: path.read_bytes() for path in sorted((folder / FOLDER).iterdir())}


def saved_segments(folder: Path) -> dict[Path, int]:
    """The segments whose sums are saved, and when."""
    return {path.parent: path.stat().st_mtime_ns for path in (folder / segments.FOLDER).glob(f"*/{INDEX}")}


def once_a_segment_is_saved(folder: Path, act: Callable[[], None]) -> Progress:
    """A report of progress that acts when the first segment is saved, before its sums are used."""
    acted = False

    def report(what: str, done: int, total: int | None, unit: str) -> None:
        nonlocal acted
        if not acted and saved_segments(folder):
            acted = True
            act()

    return report


def once_a_segment_grows(folder: Path, act: Callable[[], None]) -> Progress:
    """A report of progress that acts when more shards' sums are saved than at first."""
    before: int | None = None
    acted = False

    def report(what: str, done: int, total: int | None, unit: str) -> None:
        nonlocal acted, before
        saved = sum(len(saved_shards(path)) for path in saved_segments(folder))
        before = saved if before is None else before
        if not acted and what == "summing features" and saved > before and active_children():
            acted = True
            act()

    return report


def kill_a_worker() -> None:
    process = active_children()[0]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard is a segment."""
    monkeypatch.setattr(segments, "ROWS_A_MATRIX", 1000)


@pytest.mark.parametrize("count", [1, 2, 3, pytest.param(9, marks=pytest.mark.slow)])
def test_sums_and_heads_are_those_of_one_process(
    made: Made, tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    reported = []
    several = by_several(made, tmp_path, count, lambda *said: reported.append(said))
    assert_same(several, by_one(made))
    assert ("there are only 6 shards to sum" in caplog.text) == (count > SHARDS)
    sums = [done for what, done, total, _ in reported if (what, total) == ("summing features", SHARDS * SHARD_ROWS)]
    assert sums == sorted(sums)
    assert sums[-1] == SHARDS * SHARD_ROWS
    assert reported[-1] == ("adding up sums", len(several.groups), len(several.groups), "groups")
    assert not active_children()
    assert not list(tmp_path.rglob(f"*{TEMPORARY}"))


def test_the_same_workers_make_the_same_bytes(made: Made, tmp_path: Path, small_segments: None) -> None:
    files = [stored(by_several(made, tmp_path / name, 2), tmp_path / name) for name in ("one", "other")]
    assert files[0] == files[1]


@pytest.mark.parametrize("count", [2, 1])
def test_a_killed_worker_is_a_sentence_and_what_was_saved_is_not_summed_again(
    made: Made, tmp_path: Path, small_segments: None, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    killed = tmp_path / "killed"
    with pytest.raises(UserError, match=r"a worker of fit-heads was ended, most likely for lack of memory: .* fewer"):
        by_several(made, killed, 2, once_a_segment_is_saved(killed, kill_a_worker))
    assert not active_children()
    before = saved_segments(killed)
    assert before
    resumed = by_several(made, killed, count)
    assert "of 6 shards are there already" in caplog.text
    assert {path: saved_segments(killed)[path] for path in before} == before
    assert_same(resumed, by_one(made))
    if count == 2:
        assert stored(resumed, killed) == stored(by_several(made, tmp_path / "unharmed", 2), tmp_path / "unharmed")


def test_a_killed_worker_loses_no_more_than_the_shard_in_its_hands(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two segments of three shards, saved after each shard; the next runs divide the rest anew."""
    folder = tmp_path / "killed"
    ended = []
    for _ in range(SHARDS):
        try:
            resumed = by_several(made, folder, 2, once_a_segment_grows(folder, kill_a_worker), save_seconds=0.0)
            break
        except UserError:
            ended.append(sum(len(saved_shards(path)) for path in saved_segments(folder)))
    assert ended
    assert ended == sorted(ended)
    assert ended[0] > 0
    assert f"the sums of {ended[-1]} of 6 shards are there already" in caplog.text
    assert_same(resumed, by_one(made))


def test_saving_on_the_way_changes_no_byte(made: Made, tmp_path: Path) -> None:
    files = [
        stored(by_several(made, tmp_path / f"{seconds}", 2, save_seconds=seconds), tmp_path / f"{seconds}")
        for seconds in (0.0, 1e9)
    ]
    assert files[0] == files[1]


def test_sums_saved_on_the_way_stay_whole_while_later_ones_are_written(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before the index is replaced leaves what it names; groups that did not change keep their files."""
    shards = shards_of(made.store, made.rows)
    statistics = empty(tmp_path / FOLDER)
    origins = []
    for count in (2, 3):
        chosen = np.concatenate([shard.chosen for shard in shards[:count]][count - 2 :])
        add_rows(statistics, made.store, made.rows.with_keys(chosen), lambda _: None)
        origins.append(Origin("f", {shard.name: shard.digest for shard in shards[:count]}))
        if count == 2:
            save_statistics(tmp_path, statistics, origins[0], {}, finished=False)
    n = {key: group.n for key, group in load_statistics(tmp_path).statistics.groups.items()}

    def crash(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("heads.ridge.files.write_text", crash)
        with pytest.raises(OSError, match="no space"):
            save_statistics(tmp_path, statistics, origins[1], {}, finished=False)
    saved = load_statistics(tmp_path)
    assert saved.origin == origins[0]
    assert {key: group.n for key, group in saved.statistics.groups.items()} == n
    for group in saved.statistics.groups.values():
        group.check()
    save_statistics(tmp_path, statistics, origins[1], {}, finished=False)
    assert load_statistics(tmp_path).origin == origins[1]


PARENT = """
import os, signal, sys
from multiprocessing import active_children
from pathlib import Path
from heads.ridge import segments
from tests.heads.ridge.test_workers import Made, by_several, make, once_a_segment_is_saved

def strike():
    print(*(process.pid for process in active_children()), flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[3]))

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    segments.ROWS_A_MATRIX = 1000
    made, folder = make(Path(sys.argv[1])), Path(sys.argv[2])
    by_several(made, folder, 2, once_a_segment_is_saved(folder, strike))
"""


@pytest.mark.slow
@pytest.mark.parametrize("blow", ["SIGKILL", "SIGINT"])
def test_no_process_outlives_a_run_that_is_ended_and_its_sums_are_taken_up(
    made: Made, tmp_path: Path, small_segments: None, blow: str, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, program, tmp_path / "store", folder, blow],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -getattr(signal, blow), done.stderr
    processes = done.stdout.split()
    assert len(processes) == 2
    deadline = time.monotonic() + 30
    while alive := [process for process in processes if Path(f"/proc/{process}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    before = saved_segments(folder)
    assert before
    resumed = by_several(made, folder, 2)
    assert "of 6 shards are there already" in caplog.text
    assert {path: saved_segments(folder)[path] for path in before} == before
    assert stored(resumed, folder) == stored(by_several(made, tmp_path / "unharmed", 2), tmp_path / "unharmed")


def test_only_shards_with_other_rows_are_summed_again(made: Made, tmp_path: Path) -> None:
    def planned(rows: RatedRows, statistics: GramStatistics, fingerprint: str = FINGERPRINT.digest) -> list[bool]:
        folder = tmp_path / "copy"
        shutil.copytree(tmp_path / segments.FOLDER, folder, dirs_exist_ok=True)
        shards = shards_of(made.store, rows)
        plan = plan_segments(folder, shards, statistics, fingerprint, 3, 2)
        assert [name for segment in plan for name in segment.digests] == [shard.name for shard in shards]
        assert set(folder.glob("*")) == {segment.folder for segment in plan if segment.saved}
        return [segment.saved for segment in plan]

    by_several(made, tmp_path, 3)
    rows = made.rows
    changed = rows.targets.copy()
    changed[rows.places == SHARD_ROWS + 5] += 1  # in the second shard
    assert planned(rows, empty()) == [True, True, True]
    assert planned(replace(rows, targets=changed), empty()) == [False, True, True]
    assert planned(rows.with_keys(np.arange(3 * SHARD_ROWS + 7, len(rows.keys))), empty())[-1:] == [True]
    assert planned(rows, GramStatistics(NAMES, WIDTH, storage="float16")) == [False] * 3  # multiplied in float64
    assert planned(rows, empty(), "of other features") == [False] * 3
    # A data set before the others in the alphabet gives the others new numbers.
    parts = (("another", "train"), *PARTS)
    assert planned(replace(rows, part=rows.part + 1, parts=parts), empty()) == [True, True, True]


def test_damaged_sums_of_a_segment_are_named_and_made_again(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    by_several(made, tmp_path, 2)
    path = min((tmp_path / segments.FOLDER).glob("*/statistics/*"))
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    again = by_several(made, tmp_path, 2)
    assert f"{path} does not match its checksum; its shards are summed again" in caplog.text
    assert "the sums of 3 of 6 shards are there already" in caplog.text
    assert_same(again, by_one(made))


def test_a_mistake_in_a_worker_is_the_sentence_of_one_process(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "store")
    damaged = Made(tmp_path / "store", made.rows)
    path = shard_path(damaged.store.folder, damaged.store.entries[4].shard)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    sentences = []
    for work in (by_one, lambda made: by_several(made, tmp_path, 2)):
        with pytest.raises(UserError) as caught:
            work(damaged)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert str(path) in sentences[0]
    more = replace(made.rows, keys=np.concatenate([made.rows.keys, np.zeros((1, 16), np.uint8)]))
    with pytest.raises(UserError, match=r"1 of 24001 features are not in .*: run `armorm extract` first"):
        by_several(Made(made.folder, more), tmp_path, 2)


def test_groups_that_will_have_a_matrix_are_known_before_their_rows_are_read(made: Made) -> None:
    one = by_one(made)
    found = large_groups(made.rows, one.layout.kept_rows)
    assert found == {key for key, group in one.groups.items() if not group.is_rows}
    assert found == {GroupKey("one", "train", bucket, (True, True, True)) for bucket in (0, 1)}
