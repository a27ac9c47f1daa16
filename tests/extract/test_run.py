"""A run computes what is missing and nothing else, and a killed one ends with the same bytes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from cache import FeatureStore
from cache.formats import FormatName
from cache.sealed_shard import SealedShard
from cache.verify import verify
from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.packing import PackLayout, Request
from extract.run import Outcome, fill
from extract.settings import BackboneSettings, ExtractSettings


class CountingEngine:
    """Features that are a function of the key, and the number of passes made."""

    def __init__(self, bad: bytes | None = None, value: float = np.nan) -> None:
        self.passes = 0
        self.bad, self.value = bad, value

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:
        for layout in layouts:
            self.passes += 1
            features = layout.keys.astype(np.float32).reshape(len(layout.keys), 1, 16) / 7
            for row, key in enumerate(layout.keys):
                if key.tobytes() == self.bad:
                    features[row, 0, 3] = self.value
            yield features


def new_store(root: Path, tiny: Backbone, settings: BackboneSettings, width: int = 16) -> FeatureStore:
    return FeatureStore.create(root, tiny.fingerprint(settings, "float16", "packed"), width)


def run(store: FeatureStore, request: Request, engine: object, shard_rows: int = 10) -> Outcome:
    return fill(store, request, lambda: engine, pack_tokens=512, shard_rows=shard_rows)  # type: ignore[arg-type,return-value]


def bytes_by_key(store: FeatureStore) -> dict[bytes, bytes]:
    frames = [pl.read_parquet(path) for path in sorted((store.folder / "shards").glob("*.parquet"))]
    rows = [row for frame in frames for row in zip(frame["key"], frame["feature"].to_numpy(), strict=True)]
    assert len({key for key, _ in rows}) == len(rows), "a key was sealed twice"
    return {key: feature.tobytes() for key, feature in rows}


def test_a_second_run_makes_no_pass_and_loads_no_engine(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    store, request = new_store(tmp_path, tiny, tiny_settings), make_request(seed=0, prompts=20)
    engine = CountingEngine()
    first = run(store, request, engine)
    assert first.features_new == len(request.keys()) == len(store)
    assert engine.passes > 1

    def load() -> object:
        raise AssertionError("the backbone was loaded although nothing is missing")

    second = fill(store, request, load, pack_tokens=512, shard_rows=10)  # type: ignore[arg-type]
    assert (second.features_new, second.features_reused, second.tokens_computed) == (0, first.features_new, 0)


def test_a_new_data_set_adds_only_its_rows(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    store = new_store(tmp_path, tiny, tiny_settings)
    small, large = make_request(seed=0, prompts=10), make_request(seed=0, prompts=20)
    run(store, small, CountingEngine())
    before = bytes_by_key(store)
    outcome = run(store, large, CountingEngine())
    assert outcome.features_reused == len(small.keys())
    assert outcome.features_new == len(large.keys()) - len(small.keys())
    after = bytes_by_key(store)
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not finite"), (1e5, "beyond float16's largest")])
def test_a_feature_that_cannot_be_stored_is_refused_once_and_the_run_goes_on(
    tmp_path: Path,
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    value: float,
    reason: str,
) -> None:
    store, request = new_store(tmp_path, tiny, tiny_settings), make_request(seed=1, prompts=10)
    bad = request.keys()[5].tobytes()
    outcome = run(store, request, CountingEngine(bad, value))
    assert outcome.features_new == len(request.keys()) - 1
    assert list(store.skipped) == [bad]
    assert reason in store.skipped[bad]
    engine = CountingEngine()
    assert run(store, request, engine).features_new == 0
    assert engine.passes == 0


def test_a_shard_taken_away_is_computed_again_with_the_same_bytes(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    store, request = new_store(tmp_path, tiny, tiny_settings, 256), make_request(seed=2, prompts=12)
    engine = PackedEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu"))
    run(store, request, engine)
    before = bytes_by_key(store)
    (store.folder / "shards" / store.entries[1].shard).unlink()
    verify(store.folder, repair=True)
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    lost = len(store) - len(again)
    assert lost > 0
    assert run(again, request, engine).features_new == lost
    assert bytes_by_key(again) == before


WORK = """
import sys
from pathlib import Path
import torch
from cache import FeatureStore
from extract.backbone import find_backbone
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder
from tests.conftest import TINY, conversations

torch.set_num_threads(1)
settings = BackboneSettings(model=str(TINY), dtype="float32", max_tokens=2048)
tiny = find_backbone(settings)
request = Request()
encoder = ConversationEncoder(tiny.tokenizer, settings, tiny.vocabulary)
for encoded in encoder.encode(conversations(3, int(sys.argv[2]))):
    request.add(encoded)
store = FeatureStore.create(Path(sys.argv[1]), tiny.fingerprint(settings, "float16", "packed"), 256, sys.argv[3])
engine = PackedEngine(tiny, settings, ExtractSettings(), torch.device("cpu"))
print("ready", flush=True)
outcome = fill(store, request, lambda: engine, pack_tokens=512, shard_rows=8)
print("new", outcome.features_new, flush=True)
"""


def start(root: Path, prompts: int, shard_format: FormatName) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, str(root), str(prompts), shard_format]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> int:
    with process:
        assert process.stdout is not None
        output = process.stdout.read()  # `communicate` would miss what `readline` has buffered, if the run ends at once
    assert process.returncode == 0
    return int(output.split()[1])


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def files_of(store: FeatureStore) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of every sealed shard: they change if one is written again."""
    found = {}
    for entry in store.entries:
        about = (store.folder / "shards" / entry.shard).stat()
        found[entry.shard] = (about.st_ino, about.st_mtime_ns)
    return found


def assert_kills_change_nothing(tmp_path: Path, prompts: int, shard_format: FormatName, kills: int) -> None:
    """Kill a run again and again at random moments; what comes out is what an uninterrupted run leaves."""
    whole = tmp_path / "whole"
    began = start(whole, prompts, shard_format)
    at = time.monotonic()
    total = finish(began)
    lasts = time.monotonic() - at
    (folder,) = whole.iterdir()
    uninterrupted = FeatureStore.open(whole, folder.name)
    expected = stored_bytes(uninterrupted)
    assert len(expected) == total

    killed = tmp_path / "killed"
    rng = np.random.default_rng()
    manifest, files, strikes = b"", {}, 0
    for _ in range(kills):
        process = start(killed, prompts, shard_format)
        kill_after(process, rng.uniform(0, 1.5 * lasts / kills))
        strikes += process.returncode == -signal.SIGKILL
        store = FeatureStore.open(killed, folder.name)
        assert verify(store.folder).problems == []
        now = (store.folder / "manifest.jsonl").read_bytes()
        assert now.startswith(manifest), "a sealed shard was lost"
        assert {name: files_of(store)[name] for name in files} == files, "a sealed shard was written again"
        manifest, files = now[: now.rfind(b"\n") + 1], files_of(store)
    assert strikes >= 1, "no kill met a running extraction"  # more would depend on how busy the machine is
    with store.writing():  # takes up a whole shard that no line names yet
        sealed = len(store)
    assert finish(start(killed, prompts, shard_format)) == total - sealed, "something sealed was computed again"
    store = FeatureStore.open(killed, folder.name)
    assert {name: files_of(store)[name] for name in files} == files
    assert stored_bytes(store) == expected
    found = verify(store.folder)
    assert (found.problems, found.leftovers) == ([], [])


def stored_bytes(store: FeatureStore) -> dict[bytes, bytes]:
    """Key -> the bytes of its row, of the shards that the manifest names."""
    found = {}
    for entry in store.entries:
        shard = SealedShard(store.folder, entry, store.description)
        index = shard.index()
        with shard.open() as opened:
            values = opened.values(np.arange(len(index)), index.keys, index.n_tokens, index.checksums)
        found |= {key.tobytes(): row.tobytes() for key, row in zip(index.keys, values, strict=True)}
    return found


def test_a_run_killed_at_any_moment_ends_with_the_bytes_of_one_that_was_not(tmp_path: Path) -> None:
    assert_kills_change_nothing(tmp_path, prompts=60, shard_format="hdf5", kills=4)


@pytest.mark.slow
@pytest.mark.parametrize("shard_format", ["parquet", "hdf5"])
def test_a_run_killed_fifty_times_ends_with_the_bytes_of_one_that_was_not(
    tmp_path: Path, shard_format: FormatName
) -> None:
    assert_kills_change_nothing(tmp_path, prompts=600, shard_format=shard_format, kills=50)
