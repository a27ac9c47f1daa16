"""Problems that can be known before the pass of the backbone are named before it, all at once, with their lines."""

import json
from pathlib import Path

import pytest

from cache import UserError
from pipelines.commands.check import check, planned
from pipelines.commands.extract import extract
from pipelines.commands.train_gating import train_gating
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY

RECIPE = f"""name = "mine"
[backbone]
model = "{TINY}"
dtype = "float32"
max_tokens = 2048
[debiasing]
verbosity = "none"
[[objectives]]
name = "politeness"
low = 1
high = 7
[[ratings]]
source = "multi_objective"
path = "rated.jsonl"
"""
RATED = [{"prompt": f"Question {n}", "response": f"Answer {n}", "politeness": 1 + n % 7} for n in range(40)]
PAIRS = '[[pairs]]\nsource = "preference"\npath = "pairs.jsonl"\n'
SUITE = '[[suites]]\nsource = "preference_suite"\npath = "pairs.jsonl"\n'
PAIR = {"prompt": "Question", "chosen": "Yes, gladly.", "rejected": "No."}


def quiet(*_: object) -> None:
    pass


def run_of(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, rows in (("rated", RATED), ("pairs", [PAIR] * 3)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.toml").write_text(text)
    monkeypatch.chdir(folder)
    return Run(read_recipe(Path("mine.toml")))


def test_problems_of_the_whole_recipe_are_named_at_once_with_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("a file")
    text = RECIPE.replace("rated.jsonl", "nowhere.jsonl").replace(
        "[[ratings]]", '[store]\nroot = "occupied/features"\n[extract]\nengine = "vllm"\n[[ratings]]'
    )
    with pytest.raises(UserError) as refused:
        extract(run_of(tmp_path, text + PAIRS, monkeypatch), progress=quiet)
    told = str(refused.value).splitlines()
    assert told[0] == "3 things stand in the way of this run:"
    assert "  mine.toml:15: extract.engine: 'vllm' needs the package vllm, which is not installed: " in told[1]
    assert told[2].startswith(
        "  mine.toml:13: store.root: the folder occupied/features cannot be made, since occupied is a file"
    )
    assert told[3].startswith("  mine.toml:16: multi_objective: there is no file or folder nowhere.jsonl")


def test_a_run_s_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match=r"^runs: the folder runs/mine cannot be made, since runs is a file: "):
        extract(run_of(tmp_path, RECIPE + PAIRS, monkeypatch), progress=quiet)


def test_a_suite_that_is_learned_from_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(run_of(tmp_path, RECIPE + PAIRS + SUITE, monkeypatch))
    assert not found.problems
    assert [warning.line for warning in found.warnings] == [
        "mine.toml:18: preference_suite: its rows in pairs.jsonl are learned from too, as preference: judge by other"
        " rows, or set split.drop_overlap"
    ]


def test_without_pairs_there_is_no_gate_and_that_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, RECIPE, monkeypatch)
    (remark,) = planned(run, None, None).remarks
    assert not remark.stops
    assert remark.line.startswith("pairs: the recipe has no [[pairs]], and so heads can be fitted and no gate")
    with pytest.raises(UserError, match=r"has no \[\[pairs\]\].*or derive one from the ratings"):
        train_gating(run, quiet)
