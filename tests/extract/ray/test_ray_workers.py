"""Several workers leave what one process leaves, whoever of them or their driver is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from cache import FeatureStore, UserError
from cache.ray_cluster import HERE, address_of
from cache.verify import verify
from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.ray.workers import Workers
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from tests.conftest import ROOT
from tests.extract.test_run import stored_bytes
from tests.ray_driver import driver

SEED, PROMPTS, PACK_TOKENS, SHARD_ROWS = 3, 80, 512, 8

WORK = """
import sys
from functools import partial
from pathlib import Path
from cache import FeatureStore, UserError
from extract.backbone import find_backbone
from extract.engines.loader import EngineLoader
from extract.packing import Request
from extract.ray.workers import Workers, fill_with_workers
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder
from pipelines.terminal import interrupted_by_termination
from tests.conftest import TINY, conversations
from tests.extract.ray.engines_for_workers import ENGINES
from tests.extract.ray.test_ray_workers import PACK_TOKENS, PROMPTS, SEED, SHARD_ROWS

settings = BackboneSettings(model=str(TINY), dtype="float32", max_tokens=2048)
tiny = find_backbone(settings)
request = Request()
encoder = ConversationEncoder(tiny.tokenizer, settings, tiny.vocabulary)
for encoded in encoder.encode(conversations(SEED, PROMPTS)):
    request.add(encoded)
store = FeatureStore.create(Path(sys.argv[1]), tiny.fingerprint(settings, "float16", "packed"), 256)
packed = EngineLoader.of("packed", tiny, settings, ExtractSettings())
load = packed.on if sys.argv[3] == "packed" else lambda device: partial(ENGINES[sys.argv[3]], packed.on(device))
out = sys.stdout
told = lambda what, done, total, unit: print("told", done, total, file=out, flush=True)
try:
    with interrupted_by_termination():
        workers = Workers(int(sys.argv[2]), address=sys.argv[4])
        sizes = {"pack_tokens": PACK_TOKENS, "shard_rows": SHARD_ROWS}
        outcome = fill_with_workers(store, request, load, workers, **sizes, progress=told)
    print("outcome", outcome.features_new, outcome.features_reused, outcome.tokens_computed)
except UserError as error:
    print("refused", error)
"""


@pytest.fixture(scope="session", autouse=True)
def _ray_is_installed() -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")


@pytest.fixture
def expected(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> dict[bytes, bytes]:
    """Key -> bytes, as one process without Ray stores them."""
    store = FeatureStore.create(tmp_path / "one", tiny.fingerprint(tiny_settings, "float16", "packed"), 256)
    engine = PackedEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu"))
    request = make_request(seed=SEED, prompts=PROMPTS)
    fill(store, request, lambda: engine, pack_tokens=PACK_TOKENS, shard_rows=SHARD_ROWS)
    return stored_bytes(store)


def running(
    root: Path, workers: int, engine: str = "packed", address: str = HERE, environment: Mapping[str, str] = os.environ
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A driver with its workers."""
    return driver(WORK, root, str(workers), engine, address, environment=environment)


def wait_for_shards(process: subprocess.Popen[str], shards: int) -> None:
    """Return when so many shards were reported as sealed."""
    assert process.stdout is not None
    for _ in range(shards + 1):  # the first line says 0
        line = process.stdout.readline()
        assert line.startswith("told"), line + process.communicate()[1]


def finish(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """A driver's standard output, the progress apart, and its standard error."""
    output, errors = process.communicate(timeout=300)
    return [line for line in output.splitlines() if not line.startswith("told")], errors


def workers_of(driver: int) -> list[int]:
    """Processes of the workers below a driver, from the system's table of processes."""
    parents: dict[int, int] = {}
    names: dict[int, bytes] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue

    def below(process: int) -> bool:
        while process in parents and process != driver:
            process = parents[process]
        return process == driver

    return [process for process, name in names.items() if b"ShardWorker" in name[:200] and below(process)]


def the_store(root: Path) -> FeatureStore:
    (folder,) = root.iterdir()
    store = FeatureStore.open(root, folder.name)
    assert verify(store.folder).problems == []
    return store


def assert_whole(root: Path, expected: dict[bytes, bytes]) -> None:
    """Every key is there, each once, with the bytes of a run in one process."""
    store = the_store(root)
    assert len(store) == len(expected)
    assert stored_bytes(store) == expected
    assert not list(store.folder.glob("plans/*.lock"))
    assert not list(store.folder.glob("plans/*.attempts"))


def wait_for_the_lease(root: Path) -> None:
    """Return when no worker of a dead driver is left."""
    until = time.monotonic() + 60
    while True:
        try:
            with the_store(root).writing():
                return
        except UserError:
            assert time.monotonic() < until, "workers outlive their driver"
            time.sleep(0.2)


def test_a_worker_killed_half_way_loses_nothing_and_repeats_nothing(
    tmp_path: Path, expected: dict[bytes, bytes]
) -> None:
    with running(tmp_path / "two", workers=2) as driver:
        wait_for_shards(driver, 2)
        workers = workers_of(driver.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        printed, errors = finish(driver)
    assert [line.split()[:3] for line in printed] == [["outcome", str(len(expected)), "0"]], errors
    assert "A worker died" in errors
    assert_whole(tmp_path / "two", expected)


@pytest.mark.slow
def test_workers_leave_the_bytes_of_one_process_and_nothing_on_the_terminal(
    tmp_path: Path, expected: dict[bytes, bytes]
) -> None:
    with running(tmp_path / "three", workers=3) as driver:
        output, errors = driver.communicate(timeout=300)
    *told, outcome = output.splitlines()
    assert errors == ""
    done = [int(line.split()[1]) for line in told]
    total = int(told[0].split()[2])
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert outcome == f"outcome {len(expected)} 0 {total}"
    assert_whole(tmp_path / "three", expected)


@pytest.mark.slow
def test_a_killed_driver_is_followed_by_one_with_another_number_of_workers(
    tmp_path: Path, expected: dict[bytes, bytes]
) -> None:
    root = tmp_path / "killed"
    with running(root, workers=2) as driver:
        wait_for_shards(driver, 3)
        driver.kill()
        driver.communicate()
    wait_for_the_lease(root)
    sealed = len(the_store(root))
    assert 0 < sealed < len(expected)
    with running(root, workers=3) as driver:
        printed, errors = finish(driver)
    assert [line.split()[:3] for line in printed] == [["outcome", str(len(expected) - sealed), str(sealed)]], errors
    assert_whole(root, expected)


@pytest.mark.slow
@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_sealed_and_says_how_to_go_on(
    tmp_path: Path,
    expected: dict[bytes, bytes],
    interrupt: signal.Signals,
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
) -> None:
    root = tmp_path / "interrupted"
    with running(root, workers=2) as driver:
        wait_for_shards(driver, 2)
        if interrupt == signal.SIGINT:
            os.killpg(driver.pid, interrupt)  # as a terminal does with Ctrl-C
        else:
            driver.send_signal(interrupt)
        _, errors = finish(driver)
    assert driver.returncode != 0
    sealed = len(the_store(root))
    assert 0 < sealed < len(expected)
    assert f"interrupted: {sealed:,} features were sealed and stay" in errors
    assert "run the same command again to go on" in errors
    store = FeatureStore.open(root, the_store(root).fingerprint.digest)
    engine = PackedEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu"))
    request = make_request(seed=SEED, prompts=PROMPTS)
    outcome = fill(store, request, lambda: engine, pack_tokens=PACK_TOKENS, shard_rows=SHARD_ROWS)
    assert (outcome.features_new, outcome.features_reused) == (len(expected) - sealed, sealed)
    assert_whole(root, expected)


@pytest.mark.slow
def test_a_feature_that_cannot_be_stored_is_refused_once(tmp_path: Path, expected: dict[bytes, bytes]) -> None:
    root = tmp_path / "unusable"
    with running(root, workers=2, engine="not_a_number") as driver:
        printed, errors = finish(driver)
    store = the_store(root)
    assert len(store.skipped) > 0
    assert [line.split()[1] for line in printed] == [str(len(expected) - len(store.skipped))]
    assert len((store.folder / "refused.jsonl").read_text().splitlines()) == len(store.skipped)
    assert "cannot be stored and are skipped" in errors
    found = stored_bytes(store)
    assert found == {key: value for key, value in expected.items() if key not in store.skipped}
    with running(root, workers=2, engine="not_a_number") as driver:
        printed, _ = finish(driver)
    assert [line.split()[1] for line in printed] == ["0"]


@pytest.mark.slow
def test_what_a_worker_refuses_reaches_the_user_as_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path / "refused", workers=2, engine="no_memory") as driver:
        printed, errors = finish(driver)
    assert printed == ["refused a conversation does not fit the memory: lower backbone.max_tokens"]
    assert errors == ""


def test_a_single_device_for_all_workers_is_refused() -> None:
    with pytest.raises(UserError, match=r"^extract\.device is cuda:1, and --workers gives every worker a device"):
        Workers(2, "cuda:1").check()


def test_more_workers_than_gpus_are_refused_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"--workers 3 needs as many GPUs, and this machine has 2: ask for 2"):
        Workers(3).check()
    Workers(3, "cpu").check()
    with socket.create_server(("127.0.0.1", 0)) as head:  # how many GPUs a cluster has is its own affair
        Workers(3, address=f"ray://127.0.0.1:{head.getsockname()[1]}").check()


def test_without_an_address_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert address_of(None) == HERE
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert address_of(None) == "head:6379"
    assert address_of("ray://other:10001") == "ray://other:10001"


def test_without_ray_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None\nfrom extract.ray.workers import Workers; Workers(2).check()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "UserError: Ray cannot be imported" in done.stderr
    assert "pip install -e '.[ray]'" in done.stderr
