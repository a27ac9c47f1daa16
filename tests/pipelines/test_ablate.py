"""`armorm ablate`: from saved statistics alone, with nothing stale beside it."""

import json
import shutil
from pathlib import Path

import pytest

from cache import UserError
from cache.progress import silent
from pipelines.artefacts import GATING
from pipelines.commands.ablate import ablate, draw
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """The demo's run and recipe, without its features."""
    shutil.copytree(demo.run, tmp_path / "runs" / "demo")
    shutil.copy(demo.folder / "demo.toml", tmp_path)
    assert not (tmp_path / "features").exists()
    return tmp_path


def run_of(folder: Path) -> Run:
    return Run(read_recipe(folder / "demo.toml").model_copy(update={"runs": folder / "runs"}))


def test_it_opens_no_feature_and_says_what_each_data_set_is_worth(folder: Path) -> None:
    done = armorm("ablate", "--recipe", "demo.toml", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    written = json.loads((folder / "runs" / "demo" / "ablations.json").read_text())
    assert result.items() <= written.items()
    heads = json.loads((folder / "runs" / "demo" / "heads.json").read_text())
    assert result["baseline"].keys() == heads["objectives"].keys()
    assert set(result["datasets"]["helpsteer"]["skipped"]) == {
        name for name in heads["objectives"] if "helpsteer" in name
    }
    shared = "ultrafeedback-instruction_following"
    without = result["datasets"]["ultrafeedback"]["objectives"][shared]
    assert without["mse"] > result["baseline"][shared]["validation_mse"]
    assert result["datasets"]["beavertails"]["objectives"] == {}
    safe = "beavertails-is_safe"
    assert result["objectives"][safe]["pearson"] < result["baseline"][safe]["pearson"] - 0.1
    for name, curve in result["rows"].items():
        counts = [point["rows"] for point in curve]
        assert counts == sorted(counts), name
        assert all(count < result["train_rows"][name] for count in counts), name
    assert result["alphas"]["validation_mse"][safe] == heads["objectives"][safe]["validation_path"]
    assert result["heads"]["pairs"].keys() == {"gate", "uniform", "bradley_terry"}
    assert result["heads"]["suites"]["rewardbench"].keys() >= {"gate", "uniform", "bradley_terry", "length"}


def test_the_tables_name_what_is_skipped(folder: Path) -> None:
    done = armorm("ablate", "--recipe", "demo.toml", "--no-plots", folder=folder)
    assert done.returncode == 0, done.stderr
    assert not (folder / "runs" / "demo" / "plots").exists()
    assert "without beavertails: 1 objective skipped (beavertails-is_safe)" in done.stdout
    assert "variants in" in done.stdout
    assert "self-made" in done.stdout.splitlines()[0]


def test_results_of_another_gate_are_skipped_and_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = run_of(folder).path(GATING)
    values = json.loads(path.read_text())
    del values["checksum"]
    path.write_text(json.dumps(values | {"stamp": values["stamp"] | {"gate": "another"}}))
    heads = ablate(run_of(folder), silent).heads
    assert heads.pairs == {}
    assert heads.suites == {}
    assert "gating.json is out of date (gate changed): run `armorm train-gating` again" in caplog.text
    path.unlink()
    assert ablate(run_of(folder), silent).heads.pairs == {}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("statistics.json", "run `armorm fit-heads` first"),
        ("heads.json", "run `armorm fit-heads` first"),
        ("extract.json", "run `armorm extract` first"),
    ],
)
def test_a_missing_step_is_named(folder: Path, file: str, sentence: str) -> None:
    (folder / "runs" / "demo" / file).unlink()
    done = armorm("ablate", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_heads_of_other_settings_are_refused(folder: Path) -> None:
    recipe = run_of(folder).recipe
    other = recipe.model_copy(update={"heads": recipe.heads.model_copy(update={"minimum_rows": 21})})
    with pytest.raises(UserError, match="run `armorm fit-heads` again"):
        ablate(Run(other), silent)


def test_without_matplotlib_the_figures_are_left_out_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    run = run_of(folder)
    assert draw(ablate(run, silent), run) == []
    assert "matplotlib is not installed: run `pip install -e '.[plots]'`" in caplog.text
    assert not (folder / "runs" / "demo" / "plots").exists()


def test_with_matplotlib_figures_stand_beside_the_report(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install -e '.[plots]'")
    run = run_of(folder)
    plots = draw(ablate(run, silent), run)
    assert {Path(path).stem for path in plots} == {
        f"ablation-{name}" for name in ("datasets", "objectives", "alphas", "rows", "heads")
    }
    assert all(Path(path).stat().st_size > 1000 for path in plots)
