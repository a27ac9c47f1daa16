"""An extraction that is told to stop, at any moment, keeps what it computed and is completed to the same bytes."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache.durable import TEMPORARY
from cache.verify import verify
from tests.conftest import ROOT
from tests.extract.test_run import stored_bytes
from tests.pipelines.small_run import SHARD_ROWS, run_here, small_run, store_of
from tests.pipelines.struck import LAUNCH, extract_struck

INTERRUPTED = 130
"""The exit code: 128 and the number of SIGINT, as shells give it."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, bytes]:
    """Key -> bytes of a run that nobody stopped."""
    recipe = small_run(tmp_path_factory.mktemp("uninterrupted"))
    run_here(recipe)
    return stored_bytes(store_of(recipe))


def sealed_rows(said: str) -> int:
    (rows,) = re.findall(r"interrupted: ([\d,]+) features were sealed and stay; run the same command again", said)
    return int(rows.replace(",", ""))


def assert_completed(recipe: Path, sealed: int, expected: dict[bytes, bytes]) -> None:
    """The store holds what was said to be sealed; a further run computes the rest, and all is as it should be."""
    store = store_of(recipe)
    assert len(store) == sealed
    assert verify(store.folder).problems == []
    with store.writing():  # takes up a whole shard that no line names yet
        sealed = len(store)
    assert run_here(recipe) == len(expected) - sealed
    store.refresh()
    assert stored_bytes(store) == expected
    found = verify(store.folder)
    assert (found.problems, found.leftovers) == ([], [])


@pytest.mark.parametrize("blow", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.slow)])
def test_packs_done_since_the_last_shard_are_sealed_as_a_shard_of_their_own(
    tmp_path: Path, uninterrupted: dict[bytes, bytes], blow: str
) -> None:
    recipe = small_run(tmp_path)
    done = extract_struck(recipe, [f"{blow}:{LAUNCH}:9"])
    assert done.returncode == INTERRUPTED, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    sealed = sealed_rows(done.stderr)
    rows = [entry.rows for entry in store_of(recipe).entries]
    assert sum(rows) == sealed
    assert all(shard >= SHARD_ROWS for shard in rows[:-1])
    assert len(rows) > 1
    assert 0 < rows[-1] < SHARD_ROWS, "only whole shards were kept"
    assert not (tmp_path / "runs" / "small" / "extract.json").exists()
    assert_completed(recipe, sealed, uninterrupted)


def test_a_shard_interrupted_twice_is_sealed_in_three_parts(tmp_path: Path, uninterrupted: dict[bytes, bytes]) -> None:
    recipe = small_run(tmp_path)
    first = extract_struck(recipe, [f"SIGINT:{LAUNCH}:3"])
    second = extract_struck(recipe, [f"SIGTERM:{LAUNCH}:3"])
    assert first.returncode == second.returncode == INTERRUPTED, first.stderr + second.stderr
    assert_completed(recipe, sealed_rows(first.stderr) + sealed_rows(second.stderr), uninterrupted)
    names = [Path(entry.shard).stem for entry in store_of(recipe).entries]
    parts = [name for name in names if re.search(r"-00000(-\d)?$", name)]
    assert [name.removeprefix(parts[0]) for name in parts] == ["", "-2", "-3"]


@pytest.mark.parametrize(
    "moments",
    [
        # Again while the part is written, and again and again.
        [f"SIGINT:{LAUNCH}:9", *(f"SIGINT:cache.{step}:2" for step in ("sealing:seal", "sealing:sha256"))],
        pytest.param(["SIGINT:cache.sealing:seal:2"], marks=pytest.mark.slow),  # while a whole shard is written
        pytest.param(["SIGTERM:cache.manifest:append:1"], marks=pytest.mark.slow),
        pytest.param([f"SIGTERM:{LAUNCH}:9", "SIGTERM:cache.manifest:append:2"], marks=pytest.mark.slow),
        # Before the part is handed over: only whole shards are left.
        pytest.param(
            [f"SIGTERM:{LAUNCH}:9", "SIGTERM:extract.shard_writer:ShardWriter.seal:2"], marks=pytest.mark.slow
        ),
    ],
)
def test_an_interrupt_while_a_shard_is_sealed_loses_none_that_was_given(
    tmp_path: Path, uninterrupted: dict[bytes, bytes], moments: list[str]
) -> None:
    recipe = small_run(tmp_path)
    done = extract_struck(recipe, moments)
    assert done.returncode == INTERRUPTED, done.stderr
    assert "Traceback" not in done.stderr
    store = store_of(recipe)
    assert not list(store.folder.rglob(f"*{TEMPORARY}")), "the process ended before its shard was sealed"
    assert_completed(recipe, len(store), uninterrupted)


@pytest.mark.parametrize(
    "moment",
    [
        "extract.backbone:Backbone.load:1",
        pytest.param("extract.plan:_write:1", marks=pytest.mark.slow),
        pytest.param(f"{LAUNCH}:1", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_before_the_first_pack_is_done_leaves_nothing_to_clear_away(
    tmp_path: Path, uninterrupted: dict[bytes, bytes], moment: str
) -> None:
    recipe = small_run(tmp_path)
    done = extract_struck(recipe, [f"SIGINT:{moment}"])
    assert done.returncode == INTERRUPTED, done.stderr
    assert "Traceback" not in done.stderr
    assert_completed(recipe, 0, uninterrupted)


def test_a_signal_from_outside_ends_a_run_as_one_from_inside(tmp_path: Path, uninterrupted: dict[bytes, bytes]) -> None:
    recipe = small_run(tmp_path)
    command = [sys.executable, "-m", "pipelines.cli", "extract", "--recipe", str(recipe)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None and not list((tmp_path / "features").glob("*/shards/*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    if process.returncode != 0:  # else the machine was so slow to tell it that it had ended by itself
        assert process.returncode == INTERRUPTED, said
        assert_completed(recipe, sealed_rows(said), uninterrupted)


@pytest.mark.parametrize(
    "moment",
    [
        "cache.sealing:seal:3",
        pytest.param("cache.manifest:append:2", marks=pytest.mark.slow),
        pytest.param("extract.plan:_write:1", marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_fills_up_while_packs_are_computed_is_one_sentence(
    tmp_path: Path, uninterrupted: dict[bytes, bytes], moment: str
) -> None:
    recipe = small_run(tmp_path)
    done = extract_struck(recipe, [f"FULL:{moment}"])
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("failed: ")
    assert str(tmp_path) in last, "the sentence names no file"
    assert_completed(recipe, len(store_of(recipe)), uninterrupted)


def test_a_kill_before_a_whole_shard_is_named_loses_nothing(tmp_path: Path, uninterrupted: dict[bytes, bytes]) -> None:
    recipe = small_run(tmp_path)
    done = extract_struck(recipe, ["SIGKILL:cache.manifest:append:3"])
    assert done.returncode == -signal.SIGKILL
    store = store_of(recipe)
    assert len(store.entries) == 2
    assert len(verify(store.folder).unnamed) == 1
    assert_completed(recipe, len(store), uninterrupted)


def test_a_kill_on_a_slow_device_loses_the_packs_in_hand(tmp_path: Path, uninterrupted: dict[bytes, bytes]) -> None:
    recipe = small_run(tmp_path)
    recipe.write_text(recipe.read_text().replace("shard_rows = ", "shard_seconds = 1e-6, shard_rows = "))
    done = extract_struck(recipe, [f"SIGKILL:{LAUNCH}:9"])
    assert done.returncode == -signal.SIGKILL
    store = store_of(recipe)
    # At the ninth launch seven packs are done, the eighth is on the device; the seventh may just be written.
    assert 6 <= len(store.entries) <= 7
    assert max(entry.rows for entry in store.entries) < SHARD_ROWS
    assert_completed(recipe, len(store), uninterrupted)
