"""`armorm cache`: status, verify and export on a real run, their examples, exit codes and sentences."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from cache import FeatureStore
from cache.keys import key_column
from tests.cache.rows import flip
from tests.pipelines.conftest import ROOT, Demo, armorm, small_recipe


@pytest.fixture
def copy(demo: Demo, tmp_path: Path) -> Path:
    """The demo's folder without its raw rows, to spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("data"))
    (folder / "recipes").mkdir()
    (folder / "recipes" / "demo.toml").write_text((folder / "demo.toml").read_text())
    return folder


def result(*arguments: str, folder: Path, code: int = 0) -> dict:  # type: ignore[type-arg]
    done = armorm("cache", *arguments, "--recipe", "demo.toml", "--json", folder=folder)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("features/*/shards/*"))


def test_status_counts_every_data_set_of_the_run(demo: Demo, copy: Path) -> None:
    status = result("status", folder=copy)
    extracted = demo.results["extract"]
    assert set(status["datasets"]) == set(extracted["datasets"])
    for name, dataset in status["datasets"].items():
        assert dataset["rows"] == extracted["datasets"][name]["used"] or dataset["kind"] == "suite"
        assert dataset["skipped"] == extracted["datasets"][name]["skipped"]
        assert (dataset["missing"], dataset["engine"], dataset["fingerprint"]) == (
            0,
            "packed",
            extracted["fingerprint"],
        )
        assert dataset["bytes"] == dataset["features"] * 256 * 2
    assert status["features"] == extracted["features_new"]
    assert status["bytes"] == sum(path.stat().st_size for path in shards(copy))


def test_status_and_verify_work_before_an_extraction_was_finished(copy: Path) -> None:
    shutil.rmtree(copy / "runs")
    status = result("status", folder=copy)
    assert (status["extracted"], status["datasets"]) == (False, {})
    assert status["features"] > 0
    assert result("verify", folder=copy)["whole"]


def test_damage_is_found_repaired_and_shown_as_missing(copy: Path) -> None:
    whole = result("verify", folder=copy)
    assert (whole["whole"], whole["problems"]) == (True, [])
    flip(shards(copy)[0], 5000)
    found = result("verify", folder=copy, code=1)
    assert (found["whole"], len(found["problems"]), found["damaged_shards"]) == (False, 1, [shards(copy)[0].name])
    lost = found["rows_lost"]
    repaired = result("verify", "--repair", folder=copy)
    assert (repaired["repaired"], repaired["rows"]) == (True, whole["rows"] - lost)
    status = result("status", folder=copy)
    assert status["features"] == whole["rows"] - lost
    assert status["missing"] >= lost > 0
    done = armorm("cache", "export", "--recipe", "demo.toml", folder=copy)
    assert done.returncode == 2
    assert re.search(r"^error: \d+ of \d+ features are not in .*: run `armorm extract` first$", done.stderr.strip())


def test_a_damaged_manifest_is_refused_in_one_sentence_and_repaired_without_loss(copy: Path) -> None:
    (manifest,) = copy.glob("features/*/manifest.jsonl")
    flip(manifest, 10)
    done = armorm("cache", "status", "--recipe", "demo.toml", folder=copy)
    assert done.returncode == 2
    assert re.search(r"^error: .*manifest\.jsonl, line 1, is damaged: run `armorm cache verify --repair`", done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1
    before = {path.name for path in shards(copy)}
    assert set(result("verify", "--repair", folder=copy)["adopted"]) <= before
    assert result("status", folder=copy)["missing"] == 0


@pytest.mark.parametrize("export_format", ["npy", "safetensors", "parquet"])
def test_an_export_holds_the_features_of_the_named_data_set(copy: Path, export_format: str) -> None:
    arguments = ("export", "--format", export_format, "--dataset", "helpsteer", "--out", "out")
    exported = result(*arguments, folder=copy)
    (folder,) = (path.parent for path in copy.glob("features/*/store.json"))
    store = FeatureStore.open(folder.parent, folder.name)
    out = copy / "out"
    if export_format == "npy":
        features, keys = np.load(out / "features.npy"), np.load(out / "keys.npy")
        tokens = np.load(out / "n_tokens.npy")
    elif export_format == "safetensors":
        tensors = safetensors.numpy.load_file(out / "features.safetensors")
        features, keys, tokens = tensors["features"], tensors["keys"], tensors["n_tokens"]
    else:
        frame = pl.read_parquet(out / "features.parquet")
        features = frame["feature"].to_numpy().reshape(-1, 1, 256)
        keys, tokens = key_column(frame["key"]), frame["n_tokens"].to_numpy()
    assert features.dtype == np.float16
    assert list(features.shape) == exported["shape"]
    assert features.astype(np.float32).tolist() == store.gather(keys).tolist()
    assert tokens.tolist() == store.n_tokens(keys).tolist()
    rows = pl.read_parquet(out / "rows.parquet")
    assert rows.columns == ["dataset", "row", "role", "tokens", "key", "feature"]
    assert set(rows["dataset"]) == {"helpsteer"}
    assert set(rows["role"]) == {"prompt", "response"}
    assert rows["tokens"].to_list() == tokens[rows["feature"].to_numpy()].tolist()
    assert rows["key"].to_list() == [keys[at].tobytes() for at in rows["feature"]]
    examples = pl.read_parquet(copy / "runs" / "demo" / "tables" / "examples.parquet").filter(dataset="helpsteer")
    assert len(rows.filter(role="response")) == len(examples)


def test_an_unknown_data_set_is_named(copy: Path) -> None:
    done = armorm("cache", "export", "--recipe", "demo.toml", "--dataset", "nothing", folder=copy)
    assert done.returncode == 2
    assert re.search(r"^error: --dataset nothing is not in .*tables: name one of helpsteer, ", done.stderr)


@pytest.mark.parametrize("command", ["status", "verify", "export"])
def test_before_any_extraction_the_store_is_said_to_be_missing(tmp_path: Path, command: str) -> None:
    (tmp_path / "demo.toml").write_text(small_recipe((ROOT / "recipes" / "demo.toml").read_text()))
    done = armorm("cache", command, "--recipe", "demo.toml", folder=tmp_path)
    assert done.returncode == 2
    assert re.search(r"^error: there is no .*: run `armorm extract` first$", done.stderr.strip())
    assert list(tmp_path.iterdir()) == [tmp_path / "demo.toml"]


def test_the_other_format_is_refused_by_name(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    recipe = (folder / "demo.toml").read_text().replace("[store]", '[store]\nformat = "hdf5"')
    (folder / "demo.toml").write_text(recipe)
    done = armorm("extract", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 2
    assert re.search(r"holds parquet shards and the recipe asks for hdf5: set store\.format to 'parquet'", done.stderr)
