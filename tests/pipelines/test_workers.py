"""`armorm extract --workers`: the same run, by several processes."""

import json
import shutil
from pathlib import Path

import pytest

from cache import FeatureStore
from tests.extract.test_run import stored_bytes
from tests.pipelines.conftest import Demo, armorm


def test_workers_of_a_worker_are_refused(demo: Demo) -> None:
    done = armorm("extract", "--recipe", "demo.toml", "--workers", "2", "--worker", "1/2", folder=demo.folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --workers 2 and --worker 1/2 are two ways to share the work")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_workers_leave_the_run_of_one_process(demo: Demo, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("features", "runs"))
    done = armorm("extract", "--recipe", "demo.toml", "--workers", "2", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    result, one = json.loads(done.stdout), demo.results["extract"]
    differ = {name for name in one if result[name] != one[name]}
    assert differ <= {"seconds", "seconds_extracting", "device"}
    assert result["device"] == "2 workers on this machine (auto)"
    stores = [FeatureStore.open(where / "features", one["fingerprint"]) for where in (demo.folder, folder)]
    assert stored_bytes(stores[0]) == stored_bytes(stores[1])
    for table in ("examples", "pairs", "suites", "suite_texts"):
        ours, theirs = (where / "runs" / "demo" / "tables" / f"{table}.parquet" for where in (folder, demo.folder))
        assert ours.read_bytes() == theirs.read_bytes()


def test_an_address_without_a_cluster_is_refused_by_name(demo: Demo, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("features", "runs"))
    recipe = (folder / "demo.toml").read_text()
    (folder / "demo.toml").write_text(recipe.replace("[extract]", '[extract]\nray_address = "127.0.0.1:9"'))
    done = armorm("extract", "--recipe", "demo.toml", "--workers", "2", "--limit", "5", folder=folder)
    assert done.returncode == 2, done.stderr
    assert "error: Ray cannot be reached at 127.0.0.1:9 (" in done.stderr
    assert "Traceback" not in done.stderr
