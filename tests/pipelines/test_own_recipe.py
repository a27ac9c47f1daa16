"""A recipe with objectives and data of its own, and its commands in a wrong order or with changes in between."""

import json
from pathlib import Path

import pytest

from cache import UserError
from cache.progress import silent
from pipelines.artefacts import EXTRACT
from pipelines.commands import extract, fit_heads, train_gating
from pipelines.commands.evaluate import evaluate
from pipelines.recipe import read_recipe
from pipelines.run import Run
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
    return recipe_text(tmp_path)


def recipe_text(folder: Path) -> str:
    """A recipe over rated rows that are written to the folder."""
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
    (folder / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RECIPE.format(folder=folder, tiny=TINY)


def run_of(text: str, folder: Path) -> Run:
    """The run of a recipe with this text."""
    path = folder / "own.toml"
    path.write_text(text)
    return Run(read_recipe(path))


def test_names_that_look_like_markup_are_printed_as_they_are(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(text, tmp_path)
    extract.show(extract.extract(run, progress=silent), run)
    fit_heads.show(fit_heads.fit_heads(run, silent), run)
    train_gating.show(train_gating.train_gating(run, silent), run)
    out = capsys.readouterr().out
    assert out.count("[/] :smile:") == 3
    assert "fea[/]tures" in out.replace("\n", "")


def test_heads_and_gate_of_other_rows_or_settings_are_not_used(text: str, tmp_path: Path) -> None:
    run = run_of(text, tmp_path)
    extract.extract(run, progress=silent)
    fit_heads.fit_heads(run, silent)
    train_gating.train_gating(run, silent)
    rescaled = run_of(text.replace("high = 10", "high = 20"), tmp_path)
    extract.extract(rescaled, check=False, progress=silent)  # ratings to 10 on a scale to 20 stop a check
    with pytest.raises(
        UserError, match=r"heads.json is out of date \(objectives changed\): run `armorm fit-heads` again"
    ):
        train_gating.train_gating(rescaled, silent)
    run = run_of(text, tmp_path)
    extract.extract(run, limit=70, progress=silent)
    with pytest.raises(UserError, match=r"heads.json is out of date \(tables/examples.parquet changed\)"):
        train_gating.train_gating(run, silent)
    extract.extract(run, progress=silent)
    with pytest.raises(UserError, match="there is no row of rewardbench"):  # nothing is out of date
        evaluate(run, ["rewardbench"])
    warmer = run_of(text.replace("steps = 20", "steps = 20, temperature = 1.0"), tmp_path)
    with pytest.raises(
        UserError, match=r"gating.json is out of date \(gate changed\): run `armorm train-gating` again"
    ):
        evaluate(warmer, ["rewardbench"])


def test_a_damaged_result_of_extract_names_a_remedy_that_is_not_the_same_command(text: str, tmp_path: Path) -> None:
    run = run_of(text, tmp_path)
    run.folder.mkdir(parents=True)
    run.path(EXTRACT).write_text("{")
    with pytest.raises(UserError, match=r"extract.json is damaged.*: remove it, and run `armorm extract` again"):
        extract.extract(run, progress=silent)


def test_a_file_in_the_place_of_the_runs_folder_is_named_before_the_pass(text: str, tmp_path: Path) -> None:
    run = run_of(text, tmp_path)
    (tmp_path / "runs").mkdir()
    run.folder.write_text("")
    with pytest.raises(UserError, match=r"runs/own cannot be made, since .* is a file"):
        extract.extract(run, progress=silent)
    assert not run.recipe.store.root.exists()


def test_verbosity_may_not_be_the_only_objective(text: str, tmp_path: Path) -> None:
    lone = text.replace('{ name = "[/] :smile:", low = 1, high = 7 }, ', "").replace("response_tokens", "clear")
    run = run_of(lone.replace(', columns = { "[/] :smile:" = "polite" }', ""), tmp_path)
    extract.extract(run, progress=silent)
    fit_heads.fit_heads(run, silent)
    with pytest.raises(UserError, match="clear is the only objective, and nothing is left of it"):
        train_gating.train_gating(run, silent)
