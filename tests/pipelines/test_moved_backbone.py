"""A backbone in another folder is the same one if its weights are; another backbone puts results out of date."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from cache import UserError
from pipelines.artefacts import EXAMPLES, EXTRACT, HEADS
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def moved(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's recipe, with its backbone in another folder."""
    shutil.copytree(demo.folder, tmp_path / "copy")
    shutil.copytree(TINY, tmp_path / "copy" / "elsewhere")
    recipe = tmp_path / "copy" / "demo.toml"
    recipe.write_text(recipe.read_text().replace(json.dumps(str(TINY)), '"elsewhere"'))
    monkeypatch.chdir(recipe.parent)
    return recipe


def test_everything_stays_current_and_the_next_extraction_takes_the_new_name(
    moved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run = Run(read_recipe(moved))
    assert [run.problem(each) for each in (EXTRACT, EXAMPLES, HEADS)] == [None, None, None]
    assert "elsewhere is the one that features were read from, moved" in caplog.text
    done = armorm("extract", "--recipe", "demo.toml", "--json", folder=moved.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["features_new"] == 0
    caplog.clear()
    run = Run(read_recipe(moved))
    assert [run.problem(each) for each in (EXTRACT, EXAMPLES, HEADS)] == [None, None, None]
    assert "moved" not in caplog.text


def test_other_weights_are_another_backbone(moved: Path) -> None:
    weights = moved.parent / "elsewhere" / "model.safetensors"
    arrays = load_file(weights)
    name = min(arrays)
    save_file(arrays | {name: arrays[name] * 2}, weights, {"format": "pt"})
    with pytest.raises(UserError, match=r"out of date \(backbone changed\)"):
        Run(read_recipe(moved)).require(EXTRACT)


def test_a_folder_that_is_not_there_is_no_backbone(moved: Path) -> None:
    shutil.rmtree(moved.parent / "elsewhere")
    with pytest.raises(UserError, match=r"out of date \(backbone changed\)"):
        Run(read_recipe(moved)).require(EXTRACT)
