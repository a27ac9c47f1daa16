"""A data set without a usable row stands out, and a recipe without any ends before the pass."""

import json
from pathlib import Path

import pytest

from cache import UserError
from cache.progress import silent
from pipelines.commands import extract
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY

RECIPE = """
name = "own"
runs = "{folder}/runs"
debiasing = {{ verbosity = "response_tokens" }}
backbone = {{ model = "{tiny}", dtype = "float32", max_tokens = 512 }}
store = {{ root = "{folder}/features" }}
objectives = [{{ name = "clear", low = 0, high = 10 }}]
ratings = [{{ source = "multi_objective", path = "{folder}/rated.jsonl" }}]
pairs = [{{ source = "preference", name = "alpaca", path = "{folder}/pairs.jsonl" }}]
"""


def run_of(folder: Path, rated: list[dict[str, object]], pairs: list[dict[str, object]]) -> Run:
    for name, rows in (("rated", rated), ("pairs", pairs)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "own.toml"
    path.write_text(RECIPE.format(folder=folder, tiny=TINY))
    return Run(read_recipe(path))


def test_a_set_without_a_usable_row_is_named_with_an_example_and_what_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rated = [{"prompt": f"{number}?", "response": "Yes.", "clear": 3} for number in range(3)]
    run = run_of(tmp_path, rated, [{"text": "Hi", "chosen": "Hello", "rejected": "No"}] * 2)
    result = extract.extract(run, check=False, progress=silent)
    extract.show(result, run)
    reason = "column 'prompt' is missing; the row has 'text', 'chosen' and 'rejected'"
    assert result.datasets["alpaca"].reasons == {reason: 2}
    shown = capsys.readouterr().out.replace("\n", " ")
    assert f"warning: not one row of alpaca is used ({reason})" in shown.replace("  ", " ")
    assert "warning: no set of pairs has a usable row, and `armorm train-gating` needs one" in shown
    assert "of multi_objective" not in shown
    written = json.loads((tmp_path / "runs" / "own" / "extract.json").read_text())
    assert written["datasets"]["alpaca"]["reasons"] == {reason: 2}


def test_the_check_names_such_sets_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        extract.extract(run_of(tmp_path, [{"prompt": "a"}], [{"text": "Hi", "chosen": "a"}] * 2), progress=silent)
    named = [line.split(": ")[1] for line in str(caught.value).splitlines()[1:]]
    assert named == ["multi_objective", "alpaca"]


def test_a_recipe_without_a_usable_row_ends_before_the_pass(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        extract.extract(run_of(tmp_path, [{"prompt": "a"}], []), check=False, progress=silent)
    assert str(caught.value) == (
        "not one row of the recipe's data sets can be used (multi_objective: none of the rating columns is there: "
        "clear; the row has 'prompt'; alpaca: it has no rows): correct `source`, `path` or `files`"
    )
    assert not (tmp_path / "features").exists()
