"""Downloads from the hub: broken, limited, refused and offline ones end with the same bytes or one sentence."""

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import RepoFile, constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache import UserError
from cache.names import InnerPath
from extract.files.hub import download
from extract.files.missing import MissingDatasetError
from extract.hub.patience import asked_to_wait
from extract.model_files import locate_model
from tests.extract.hub_server import GATED, Fault, Hub, serving, use

REPO = "org/set"
LARGE = random.Random(0).randbytes(300_000)
FILES = {
    "data/a.jsonl": LARGE,
    "data/b.jsonl": b'{"x": 1}\n',
    "README.md": b"# a set\n",
    "other.bin": b"\x80\x04pickle",
}
LAYOUTS = (("data/*.jsonl",),)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name, content in FILES.items():
        path = tmp_path / "hub" / "datasets" / REPO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with serving(tmp_path / "hub") as server:
        use(server, tmp_path / "cache", monkeypatch)
        yield server


def fetched(**named: Any) -> dict[str, bytes]:
    folder, _ = download("set", REPO, LAYOUTS, named.pop("revision", None), **named)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WANTED = {name: content for name, content in FILES.items() if name.endswith(".jsonl")}


def test_files_that_match_are_fetched_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    assert fetched() == WANTED
    assert {path for method, path, _ in hub.requests if not path.startswith("api")} == {f"{REPO}/{n}" for n in WANTED}
    before = len(hub.requests)
    assert fetched(revision=hub.commit("datasets", REPO)) == WANTED
    assert all(path.startswith("api") for _, path, _ in hub.requests[before:])
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


def test_the_licence_is_that_of_the_card(hub: Hub) -> None:
    hub.cards[REPO] = {"license": "cc-by-nc-4.0"}
    assert download("set", REPO, LAYOUTS, None)[1] == "cc-by-nc-4.0"
    hub.cards[REPO] = {"license": "other", "license_name": "odc-by"}
    assert download("set", REPO, LAYOUTS, None)[1] == "odc-by"


def test_a_cut_connection_goes_on_where_it_stopped(hub: Hub) -> None:
    hub.faults[f"{REPO}/data/a.jsonl"] = [Fault(cut=100_000), Fault(cut=0), Fault(cut=50_000)]
    assert fetched() == WANTED
    asked = [range_ for _, path, range_ in hub.requests if path.endswith("a.jsonl")]
    assert asked == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]


FAULTS = st.one_of(
    st.builds(Fault, cut=st.integers(0, len(LARGE) - 1)),
    st.sampled_from([Fault(429, {"Retry-After": "0"}), Fault(503), Fault(500), Fault(408), Fault(body=b"{}")]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FAULTS, max_size=6), st.lists(FAULTS, max_size=3))
def test_whatever_passes_ends_with_the_same_bytes(hub: Hub, large: list[Fault], small: list[Fault]) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    for path in sorted(cache.rglob("*"), reverse=True) if cache.exists() else []:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    hub.faults.update({f"{REPO}/data/a.jsonl": list(large), f"{REPO}/data/b.jsonl": list(small)})
    assert fetched() == WANTED


def test_a_later_run_goes_on_with_the_partial_file(hub: Hub, tmp_path: Path) -> None:
    """A process that was killed leaves what it had fetched; the next one asks for the rest alone."""
    digest = hashlib.sha256(LARGE).hexdigest()
    blobs = tmp_path / "cache" / f"datasets--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest}.incomplete").write_bytes(LARGE[:200_000])
    assert fetched() == WANTED
    assert ("GET", f"{REPO}/data/a.jsonl", "bytes=200000-") in hub.requests


def test_a_partial_file_of_other_bytes_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    blobs = tmp_path / "cache" / f"datasets--{REPO.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(LARGE).hexdigest()}.incomplete").write_bytes(b"\0" * 200_000)
    assert fetched() == WANTED


def test_a_body_that_stands_still_is_asked_for_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.faults[f"{REPO}/data/a.jsonl"] = [Fault(pause=0.5), Fault(pause=0.02)]
    assert fetched() == WANTED


def test_the_hub_is_given_the_time_that_it_asks_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("extract.hub.patience.sleep", waits.append)
    limited = {"RateLimit": '"api";r=0;t=55', "Retry-After": "3"}
    hub.faults[f"api/datasets/{REPO}"] = [Fault(429, limited), Fault(503)]
    hub.faults[f"{REPO}/data/a.jsonl"] = [Fault(429, {"Retry-After": "7"})]
    assert fetched() == WANTED
    assert waits[0] == 55
    assert waits[1] < 1
    assert waits[2] == 7
    assert asked_to_wait({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}) is None


def test_waits_grow_and_end(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("extract.hub.patience.sleep", waits.append)
    monkeypatch.setattr("extract.hub.patience.FIRST_WAIT", 1.0)
    hub.always[REPO] = Fault(503)
    with pytest.raises(UserError, match=r"set: the hub failed for org/set \(HTTP 503\): look at .* run the same"):
        fetched()
    longest = max(waits)
    assert 30 <= longest <= 60
    assert hub.served(f"{REPO}/data/a.jsonl") <= 8


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (GATED, "is gated on the hub: accept its terms on {hub}/datasets/org/set and log in with `hf auth login` or"),
        (Fault(401), "there is no data set org/set on the hub for this user: check `repo` in the recipe, or log in"),
        (Fault(403, {"X-Error-Message": "no"}), "the token in use may not read org/set: give it"),
        (Fault(403, {"X-Error-Message": "Access to this resource is disabled."}), "org/set was disabled by the hub"),
        (Fault(429, {"Retry-After": "86400"}), r"limits this machine's requests (HTTP 429 for org/set): wait a few"),
    ],
)
def test_what_does_not_pass_is_said_at_once(hub: Hub, fault: Fault, expected: str) -> None:
    hub.always[REPO] = fault
    with pytest.raises(UserError) as caught:
        fetched()
    assert expected.format(hub=hub.endpoint) in str(caught.value)
    assert hub.served(f"{REPO}/data/a.jsonl") <= 1


def test_a_user_who_is_logged_in_is_told_to_accept_the_terms(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    hub.always[REPO] = GATED
    with pytest.raises(MissingDatasetError, match=r"accept its terms on .*/datasets/org/set with the account you are"):
        fetched()
    assert hub.authorization == "Bearer hf_abc"
    hub.faults[f"api/datasets/{REPO}"] = [Fault(401, {"X-Error-Message": "Invalid credentials"})]
    with pytest.raises(MissingDatasetError, match="the hub refuses the token in use for org/set: log in"):
        fetched()


def test_a_repository_a_revision_and_a_file_that_are_not_there(hub: Hub) -> None:
    with pytest.raises(MissingDatasetError, match=r"^set: there is no data set org/none on the hub .*check `repo`"):
        download("set", "org/none", LAYOUTS, None)
    with pytest.raises(MissingDatasetError, match=r"org/set has no revision v9 on the hub: check `revision` in the"):
        fetched(revision="v9")
    with pytest.raises(UserError, match="'no name' is not a repository's name: give `repo` the form org/name"):
        download("set", "no name", LAYOUTS, None)
    with pytest.raises(
        MissingDatasetError,
        match=r"matches data/\*.parquet; it holds README.md, data/a.jsonl, data/b.jsonl and other.bin",
    ):
        download("set", REPO, (("data/*.parquet",),), None)


def test_without_the_hub_a_full_cache_serves(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert fetched() == WANTED
    assert fetched(revision=hub.commit("datasets", REPO)) == WANTED
    assert len(hub.requests) == asked


def test_without_the_hub_a_partly_filled_cache_names_what_it_lacks(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = download("set", REPO, (("data/b.jsonl",),), None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingDatasetError) as caught:
        fetched()
    assert str(caught.value) == (
        f"set: the cached commit {folder.name[:12]} of org/set lacks data/a.jsonl, and org/set is not cached in"
        f" {tmp_path / 'cache'}, and HF_HUB_OFFLINE keeps this run from the hub: unset HF_HUB_OFFLINE, or give a local"
        " copy with --data-root"
    )
    with pytest.raises(MissingDatasetError, match=r"org/other is not cached in .*: unset HF_HUB_OFFLINE, or give"):
        download("set", "org/other", LAYOUTS, None)


def test_without_a_network_the_cache_serves_with_a_warning(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fetched()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert fetched() == WANTED
    assert "its cached commit" in caplog.text
    with pytest.raises(MissingDatasetError, match=r"the hub \(http://127.* cannot be reached .*HTTPS_PROXY"):
        download("set", "org/other", LAYOUTS, None)


def test_two_runs_share_the_cache(hub: Hub) -> None:
    hub.faults[f"{REPO}/data/a.jsonl"] = [Fault(pause=0.05)]
    outcomes: list[dict[str, bytes]] = []
    runs = [threading.Thread(target=lambda: outcomes.append(fetched())) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert outcomes == [WANTED] * 3
    assert hub.served(f"{REPO}/data/a.jsonl") == 1


def test_the_progress_is_told_in_bytes(hub: Hub) -> None:
    told: list[tuple[str, int, int | None, str]] = []
    fetched(progress=lambda *state: told.append(state))
    assert told[-1] == ("fetching org/set", sum(map(len, WANTED.values())), sum(map(len, WANTED.values())), "bytes")


def test_a_full_disk_is_seen_before_the_download(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("extract.hub.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"org/set needs 0.0 GB and the disk of .* free some, or set HF_HOME"):
        fetched()
    assert not hub.served(f"{REPO}/data/a.jsonl")


def test_the_backbone_is_fetched_in_the_same_way(hub: Hub, tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models" / "org" / "model"
    model.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (model / name).write_bytes(name.encode() * 3000)
    hub.faults["org/model/model.safetensors"] = [Fault(cut=5000), Fault(429, {"Retry-After": "0"})]
    folder, identity = locate_model("org/model", None, "backbone.model")
    assert identity == f"org/model@{hub.commit('models', 'org/model')}"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == b"model.safetensors" * 3000
    hub.always["org/model"] = GATED
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"^backbone.model: org/model is gated .*accept its terms on .*/org/model and"):
        locate_model("org/model", None, "backbone.model")


def test_a_process_that_is_killed_leaves_a_download_to_go_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.faults[f"{REPO}/data/a.jsonl"] = [Fault(pause=1.0)]
    code = f"from extract.files.hub import download; download('set', {REPO!r}, {LAYOUTS!r}, None)"
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **own}) as process:
        blobs = tmp_path / "cache" / "datasets--org--set" / "blobs"
        partial = blobs / f"{hashlib.sha256(LARGE).hexdigest()}.incomplete"
        while process.poll() is None and not (partial.exists() and partial.stat().st_size):
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9
    assert fetched() == WANTED
    assert any(range_ for _, path, range_ in hub.requests if path.endswith("a.jsonl"))


@pytest.mark.parametrize("path", ["../evil.jsonl", "data/../../evil.jsonl", "/evil.jsonl", "data//evil.jsonl", "."])
def test_a_path_out_of_the_repository_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not the path of a file below a folder"):
        InnerPath(path)


def test_a_hub_that_lists_a_file_elsewhere_is_refused(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = RepoFile(path="../../../evil.jsonl", size=3, oid="0" * 40)
    monkeypatch.setattr("extract.hub.listing.HfApi.list_repo_tree", lambda *_, **__: [elsewhere])
    with pytest.raises(UserError, match=r"could not be fetched .*is not the path of a file below a folder"):
        fetched()
    assert not list(tmp_path.rglob("evil*"))


def test_names_inside_a_repository_may_have_any_other_character() -> None:
    for path in ("data/dataset=judgebench,model=a b.jsonl", "..data/...", "a/.b", "ä/猫.json"):
        assert InnerPath(path) == path
