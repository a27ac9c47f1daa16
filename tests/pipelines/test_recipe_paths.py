"""Paths of a recipe are relative to its own file, wherever the command is typed; results move with the project."""

import os
import shutil
from pathlib import Path

import pytest

from cache import UserError
from pipelines.recipe import Recipe, read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm

RECIPE = """
name = "mine"
data_root = "../data"
runs = "out"
[backbone]
model = "../models/own"
chat_template = "own.jinja"
[store]
root = "features"
[[ratings]]
source = "multi_objective"
path = "$ROWS/rated.jsonl"
[[objectives]]
name = "politeness"
low = 0
high = 1
[[pairs]]
source = "preference"
path = "~/pairs.jsonl"
[[suites]]
source = "preference_suite"
path = "/srv/suite.jsonl"
[debiasing]
verbosity = "none"
"""


def written(folder: Path, text: str = RECIPE) -> Path:
    for part in ("data", "models/own", "recipes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    path = folder / "recipes" / "mine.toml"
    path.write_text(text)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: empty, and not the recipe's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", "/home/of-mine")
    monkeypatch.setenv("ROWS", "/mnt/rows")
    return folder


@pytest.mark.usefixtures("elsewhere")
def test_every_path_is_found_from_the_recipes_own_folder(tmp_path: Path) -> None:
    run = Run(read_recipe(written(tmp_path)))
    recipe = run.recipe
    assert recipe.data_root == tmp_path / "data"
    assert recipe.backbone.model == str(tmp_path / "models" / "own")
    assert recipe.backbone.chat_template == tmp_path / "recipes" / "own.jinja"
    assert recipe.store.root == tmp_path / "recipes" / "features"
    assert run.folder == tmp_path / "recipes" / "out" / "mine"
    assert [each.path for each in (*recipe.ratings, *recipe.pairs, *recipe.suites)] == [
        Path("/mnt/rows/rated.jsonl"),
        Path("/home/of-mine/pairs.jsonl"),
        Path("/srv/suite.jsonl"),
    ]


@pytest.mark.usefixtures("elsewhere")
def test_results_that_a_recipe_does_not_place_are_in_the_working_directory(tmp_path: Path) -> None:
    text = RECIPE.replace('runs = "out"\n', "").replace('[store]\nroot = "features"\n', "")
    run = Run(read_recipe(written(tmp_path, text)))
    assert run.folder == Path("runs/mine")
    assert run.recipe.store.root == Path("features")


@pytest.mark.usefixtures("elsewhere")
def test_a_repository_stays_a_name(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, RECIPE.replace("../models/own", "org/name")))
    assert Run(recipe).recipe.backbone.model == "org/name"


def test_a_path_that_only_the_working_directory_has_is_refused_with_the_right_one(
    elsewhere: Path, tmp_path: Path
) -> None:
    (elsewhere / "models").mkdir()
    recipe = read_recipe(written(tmp_path, RECIPE.replace("../models/own", "models")))
    sentence = r"backbone.model: there is no .*recipes/models, but there is models in the working directory"
    with pytest.raises(UserError, match=sentence) as refused:
        Run(recipe)
    assert "write ../elsewhere/models," in str(refused.value)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("$NOT_SET/x", "data_root: the environment has no variable NOT_SET: set it"),
        ("${NOT_SET}/x", "data_root: the environment has no variable NOT_SET: set it"),
        ("~nobody-of-this-name/x", "data_root: ~nobody-of-this-name/x cannot be expanded"),
    ],
)
def test_what_cannot_be_expanded_is_named(tmp_path: Path, path: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("$", r"\$")):
        Run(read_recipe(written(tmp_path, RECIPE.replace('"../data"', f'"{path}"'))))


def test_behind_a_link_the_folder_above_is_the_links_target_s(tmp_path: Path, elsewhere: Path) -> None:
    recipe = written(tmp_path / "real")
    (elsewhere / "link").symlink_to(recipe.parent)
    opened = Run(read_recipe(elsewhere / "link" / "mine.toml")).recipe
    assert opened.data_root is not None
    assert opened.data_root.samefile(tmp_path / "real" / "data")


@pytest.mark.usefixtures("elsewhere")
def test_heads_cannot_come_from_the_recipes_own_run(tmp_path: Path) -> None:
    text = 'name = "mine"\n[backbone]\nmodel = "org/name"\n[heads]\nfrom = "../elsewhere/runs/mine"\n'
    text += '[[pairs]]\nsource = "shp"\n[debiasing]\nverbosity = "none"\n'
    with pytest.raises(UserError, match=r"heads\.from is this recipe's own run"):
        Run(read_recipe(written(tmp_path, text)))


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeff" + RECIPE.replace("$ROWS", "rows"))
    assert read_recipe(path).name == "mine"


def test_results_stay_current_where_the_whole_project_is_moved(demo: Demo, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(demo.folder, moved)
    text = (moved / "demo.toml").read_text()
    (moved / "demo.toml").write_text(text.replace('name = "demo"', 'name = "demo"\nruns = "runs"', 1))
    with_runs = Run(read_recipe(moved / "demo.toml"))
    assert with_runs.folder == moved / "runs" / "demo"
    (moved / "demo.toml").write_text(text)
    done = armorm("eval", "--recipe", "demo.toml", "--suite", "rewardbench", "--json", folder=moved)
    assert done.returncode == 0, done.stderr


def test_what_a_stamp_holds_is_what_the_recipe_says(tmp_path: Path, elsewhere: Path) -> None:
    run = Run(read_recipe(written(tmp_path)))
    assert isinstance(run.recipe, Recipe)
    assert run.settings["backbone"]["model"] == "../models/own"
    assert os.fspath(elsewhere) not in str(run.settings)
