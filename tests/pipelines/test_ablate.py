"""`armorm ablate`: from saved statistics alone, with nothing stale beside it."""

import json
import shutil
from pathlib import Path

import pytest
from pipelines.ablate import ablate

from cache import UserError
from cache.progress import silent
from pipelines.recipe import Recipe, read_recipe
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """The demo's run and recipe, without its features."""
    shutil.copytree(demo.run, tmp_path / "runs" / "demo")
    shutil.copy(demo.folder / "demo.toml", tmp_path)
    assert not (tmp_path / "features").exists()
    return tmp_path


def recipe_of(folder: Path) -> Recipe:
    return read_recipe(folder / "demo.toml").model_copy(update={"runs": folder / "runs"})


def test_it_opens_no_feature_and_says_what_each_data_set_is_worth(folder: Path) -> None:
    done = armorm("ablate", "--recipe", "demo.toml", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    written = json.loads((folder / "runs" / "demo" / "ablations.json").read_text())
    assert {key: value for key, value in result.items() if key != "plots"} == written
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


def test_reports_of_other_heads_are_left_out_and_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folder / "runs" / "demo" / "gating.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": "another"}))
    heads = ablate(recipe_of(folder), plots=False, progress=silent)["heads"]
    assert heads["pairs"] == {}
    assert heads["suites"] == {}
    assert "gating.json is of other rows or settings and is left out" in caplog.text
    path.unlink()
    assert ablate(recipe_of(folder), plots=False, progress=silent)["heads"]["pairs"] == {}


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
    recipe = recipe_of(folder)
    other = recipe.model_copy(update={"heads": recipe.heads.model_copy(update={"minimum_rows": 21})})
    with pytest.raises(UserError, match="run `armorm fit-heads` again"):
        ablate(other, plots=False, progress=silent)


def test_without_matplotlib_the_figures_are_left_out_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert ablate(recipe_of(folder), plots=True, progress=silent)["plots"] == []
    assert "matplotlib is not installed: pip install -e '.[plots]'" in caplog.text
    assert not (folder / "runs" / "demo" / "plots").exists()


def test_with_matplotlib_figures_stand_beside_the_report(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install -e '.[plots]'")
    plots = ablate(recipe_of(folder), plots=True, progress=silent)["plots"]
    assert {Path(path).stem for path in plots} == {
        f"ablation-{name}" for name in ("datasets", "objectives", "alphas", "rows", "heads")
    }
    assert all(Path(path).stat().st_size > 1000 for path in plots)
