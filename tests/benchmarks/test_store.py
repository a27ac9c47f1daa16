"""The store's benchmark runs through all ways, and its outcomes agree with what each format is made for."""

import importlib.metadata
import json
from typing import Any

import pytest

from benchmarks.store import table
from benchmarks.store.plan import Plan, measure
from benchmarks.store.ways import WAYS, versions
from cache import UserError

TINY = Plan(
    sizes=((256, 64),),
    shard_rows=64,
    width=64,
    prompts=100,
    reads=1,
    writes=1,
    damage_rows=64,
    flips=4,
    killed_rows=1_024,
    kills=2,
)
STORES = {"store, parquet", "store, hdf5"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    try:
        versions()
    except UserError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("ways")
    return json.loads(json.dumps(measure(TINY, folder / "store.json", folder))) | {"written": folder / "store.json"}


@pytest.mark.slow
def test_every_way_is_measured_and_shown(report: dict[str, Any]) -> None:
    names = [way.name for way in WAYS]
    for part in ("results", "damage", "killed"):
        assert [line["way"] for line in report[part]] == names
    shown = table(report)
    assert all(shown.count(f"| {name} |") == 1 and shown.count(f"| {name}, ") >= 2 for name in names)
    assert {line["way"] for line in report["results"] if "by_key_s" in line} == {"lance", *STORES}
    assert all(line["bytes"] > line["payload"] for line in report["results"])


@pytest.mark.slow
def test_figures_stand_in_the_file_with_their_conditions(report: dict[str, Any]) -> None:
    written = json.loads(report["written"].read_text())
    assert written["conditions"]["cores"] > 0
    assert table(written) == table(report)


@pytest.mark.slow
def test_a_run_that_was_cut_short_has_a_table(report: dict[str, Any]) -> None:
    assert table({"results": report["results"], "prompts": report["prompts"]}) in table(report)


@pytest.mark.slow
def test_a_changed_byte_is_silent_without_checksums_and_never_with_them(report: dict[str, Any]) -> None:
    for line in report["damage"]:
        assert sum(line[outcome] for outcome in ("named", "noticed", "silent", "none")) == TINY.flips
        checked = line["way"] in STORES or line["way"] == "zarr, crc32c"
        assert (line["silent"] == 0) == checked, line
        assert bool(line["error"]) == (line["named"] + line["noticed"] > 0)
    assert all(line["noticed"] == 0 for line in report["damage"] if line["way"] in STORES)


@pytest.mark.slow
def test_a_killed_writer_is_taken_up_and_the_rows_are_right_in_the_end(report: dict[str, Any]) -> None:
    for line in report["killed"]:
        for kill in line["kills"]:
            assert kill["whole"], line
            assert kill["written"] >= 2 * TINY.killed_rows
            assert kill["kept"] == 0 if line["way"] == "numpy" else kill["kept"] >= kill["written"]
            if line["way"] in STORES:  # whole shards, and every one that the writer said was durable
                assert (kill["error"], kill["wrong"], kill["found"] % TINY.killed_rows) == ("", 0, 0)
                assert kill["found"] >= kill["written"]


def test_a_library_that_is_missing_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "zarr":
            raise importlib.metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(UserError, match=r"zarr is not installed: pip install .*\[benchmarks\]"):
        versions()
