"""A recipe with objectives and data of its own, and its commands in a wrong order or with changes in between."""

import json
from pathlib import Path

import pytest
from pipelines.evaluate import evaluate
from pipelines.extract_features import extract
from pipelines.fit_heads import fit_heads
from pipelines.show import show_extract, show_gating, show_heads
from pipelines.train_gating import train_gating

from cache import UserError
from cache.progress import silent
from cache.worker import ALONE
from pipelines.recipe import Recipe, read_recipe
from tests.conftest import TINY

RECIPE = """
name = "own"
runs = "{folder}/runs"
debiasing = {{ verbosity = "response_tokens" }}
backbone = {{ model = "{tiny}", dtype = "float32", max_tokens = 512 }}
store = {{ root = "{folder}/fea[/]tures" }}
split = {{ validation = 0.3 }}
gate = {{ hidden_size = 8, steps = 20 }}
objectives = [{{ name = "[/] :smile:", low = 1, high = 7 }}, {{ name = "clear", low = 0, high = 10 }}]
ratings = [{{ source = "multi_objective", path = "{folder}/rated.jsonl", columns = {{ "[/] :smile:" = "polite" }} }}]
[[pairs]]
source = "derived"
name = "pairs"
ratings = "multi_objective"
by = {{ clear = 1.0 }}
"""


@pytest.fixture
def text(tmp_path: Path) -> str:
    rows = [
        {
            "prompt": f"Question {prompt}?",
            "response": "Yes. " * (3 * number + prompt % 5 + 1),
            "polite": 1 + (prompt + number) % 7,
            "clear": (prompt + 3 * number) % 11,
        }
        for prompt in range(40)
        for number in range(2)
    ]
    (tmp_path / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RECIPE.format(folder=tmp_path, tiny=TINY)


def recipe_of(text: str, folder: Path) -> Recipe:
    path = folder / "own.toml"
    path.write_text(text)
    return read_recipe(path)


def run_extract(recipe: Recipe, limit: int | None = None) -> None:
    extract(recipe, data_root=None, limit=limit, engine=None, worker=ALONE, progress=silent)


def test_names_that_look_like_markup_are_printed_as_they_are(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(text, tmp_path)
    show_extract(extract(recipe, data_root=None, limit=None, engine=None, worker=ALONE, progress=silent), recipe)
    show_heads(fit_heads(recipe, progress=silent), recipe)
    show_gating(train_gating(recipe, progress=silent), recipe)
    out = capsys.readouterr().out
    assert out.count("[/] :smile:") == 2
    assert "fea[/]tures" in out.replace("\n", "")


def test_heads_and_gate_of_other_rows_or_settings_are_not_used(text: str, tmp_path: Path) -> None:
    recipe = recipe_of(text, tmp_path)
    run_extract(recipe)
    fit_heads(recipe, progress=silent)
    train_gating(recipe, progress=silent)
    rescaled = recipe_of(text.replace("high = 10", "high = 20"), tmp_path)
    run_extract(rescaled)
    with pytest.raises(UserError, match=r"heads.json is of other rows or settings: run `armorm fit-heads` again"):
        train_gating(rescaled, progress=silent)
    run_extract(recipe, limit=70)
    with pytest.raises(UserError, match=r"heads.json is of other rows or settings"):
        train_gating(recipe, progress=silent)
    run_extract(recipe)
    with pytest.raises(UserError, match="there is no row of rewardbench"):  # nothing is out of date
        evaluate(recipe, "rewardbench")
    warmer = recipe_of(text.replace("steps = 20", "steps = 20, temperature = 1.0"), tmp_path)
    with pytest.raises(UserError, match=r"gating.json is of other heads, rows or settings: run `armorm train-gating`"):
        evaluate(warmer, "rewardbench")


def test_a_damaged_result_of_extract_names_a_remedy_that_is_not_the_same_command(text: str, tmp_path: Path) -> None:
    recipe = recipe_of(text, tmp_path)
    recipe.folder.mkdir(parents=True)
    (recipe.folder / "extract.json").write_text("{")
    with pytest.raises(UserError, match=r"extract.json is damaged.*: remove it, and run `armorm extract` again"):
        run_extract(recipe)


def test_a_file_in_the_place_of_the_runs_folder_is_named_before_the_pass(text: str, tmp_path: Path) -> None:
    recipe = recipe_of(text, tmp_path)
    (tmp_path / "runs").mkdir()
    recipe.folder.write_text("")
    with pytest.raises(UserError, match="own cannot be a folder, for a file is in its place"):
        run_extract(recipe)
    assert not recipe.store.root.exists()


def test_verbosity_may_not_be_the_only_objective(text: str, tmp_path: Path) -> None:
    lone = text.replace('{ name = "[/] :smile:", low = 1, high = 7 }, ', "").replace("response_tokens", "clear")
    recipe = recipe_of(lone.replace(', columns = { "[/] :smile:" = "polite" }', ""), tmp_path)
    run_extract(recipe)
    fit_heads(recipe, progress=silent)
    with pytest.raises(UserError, match="clear is the only objective, and nothing is left of it"):
        train_gating(recipe, progress=silent)
