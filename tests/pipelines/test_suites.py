"""Suites from raw rows to tables: added to a run, computed in the same pass, judged, and written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evaluation.columns import MARGIN_STD, SCORE_STD, SCORED_RESPONSE, UNFAMILIAR
from evaluation.suites import SUITES
from gating.rules import RULES
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.artefacts import suite
from pipelines.recipe import read_recipe
from pipelines.reference import commands
from pipelines.run import Run
from tests.pipelines.conftest import ROOT, Demo, armorm

STYLED = [
    {
        "id": f"{number}",
        "prompt": f"What is {number} + {number}?",
        "chosen": [f"{2 * number}.", f"The sum is {2 * number}.", f"**{2 * number}** is the sum."],
        "rejected": [f"{number}.", f"The sum is {number}.", f"**{number}** is the sum."],
        "domain": domain,
    }
    for number, domain in enumerate(("chat", "math", "code", "safety-refuse", "safety-response"), start=1)
]
OWN = [
    {"prompt": "Say hello.", "chosen": "Hello!", "rejected": "No.", "id": 1},
    {"prompt": "Name a colour.", "chosen": ["Red.", "Blue."], "rejected": ["Seven."], "id": 2},
    {"prompt": "Say nothing.", "chosen": " ", "rejected": "No.", "id": 3},
]


@pytest.fixture(scope="module")
def extended(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A copy of the demo with two more suites, and what `eval --suite all` printed."""
    folder = tmp_path_factory.mktemp("suites") / "copy"
    shutil.copytree(demo.folder, folder)
    (folder / "styled.json").write_text(json.dumps(STYLED))
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in OWN))
    recipe = folder / "demo.toml"
    more = [("rm_bench", "styles", "styled.json"), ("preference_suite", "mine", "own.jsonl")]
    tables = "".join(
        f'[[suites]]\nsource = "{source}"\nname = "{name}"\npath = "{file}"\n\n' for source, name, file in more
    )
    recipe.write_text(recipe.read_text().replace("[gate]", f"{tables}[gate]"))
    done = armorm("extract", "--recipe", "demo.toml", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["features_new"] == 5 * (1 + 6) + (1 + 2) + (1 + 3)
    done = armorm("eval", "--recipe", "demo.toml", "--suite", "all", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "not judged: mine, row own.jsonl#2: column 'chosen' is empty" in done.stderr
    return folder, json.loads(done.stdout)


def test_all_judges_every_suite_of_the_recipe_and_writes_its_files(extended: tuple[Path, dict[str, Any]]) -> None:
    folder, results = extended
    assert list(results) == ["rewardbench", "rmbench", "own"]
    for name, result in results.items():
        assert result.items() <= json.loads((folder / "runs" / "demo" / f"{name}.json").read_text()).items()
        assert list(result["rules"]) == list(RULES)
        for rule in result["rules"].values():
            assert rule["score_low"] <= rule["score"] <= rule["score_high"]
        assert list(result["single_objectives"]) == [objective.name for objective in PUBLISHED_OBJECTIVES]
    assert (results["rmbench"]["rows"], results["rmbench"]["missing"]) == (5, 0)
    assert set(results["rmbench"]["rules"]["gate"]["sections"]) == {"chat", "math", "code", "safety"}


def test_a_row_that_cannot_be_used_is_named_and_counts_neither_way(extended: tuple[Path, dict[str, Any]]) -> None:
    own = extended[1]["own"]
    assert (own["rows"], own["missing"]) == (2, 1)
    assert own["missing_rows"][0]["missing"] == "column 'chosen' is empty"
    assert {rule["subsets"]["mine/all"]["rows"] for rule in own["rules"].values()} == {2}


def test_scores_rewards_and_weights_of_every_response_are_written(
    extended: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, results = extended
    monkeypatch.chdir(folder)
    frame = Run(read_recipe(Path("demo.toml"))).table(suite("rmbench"))
    assert len(frame) == 5 * 6
    names = [objective.name for objective in PUBLISHED_OBJECTIVES]
    expected = [*SCORED_RESPONSE, *(f"score.{rule}" for rule in RULES)]
    expected += [f"{kind}.{name}" for kind in ("reward", "weight") for name in names]
    summing = [name for name, rule in RULES.items() if rule.reward_weights is not None]
    expected += [f"{kind}{rule}" for kind in (SCORE_STD, MARGIN_STD) for rule in summing] + [UNFAMILIAR]
    assert frame.columns == expected
    for rule in summing:
        assert frame[SCORE_STD + rule].is_finite().all()
        assert frame[MARGIN_STD + rule].list.len().unique().to_list() == [6]
    gated = sum((pl.col(f"reward.{name}").cast(pl.Float64) * pl.col(f"weight.{name}") for name in names), pl.lit(0.0))
    assert frame.select((gated - pl.col("score.gate")).abs().max()).item() < 1e-6
    chosen = frame.filter(pl.col("chosen") & (pl.col("row") == "1")).sort("place")["score.length"].to_list()
    rejected = frame.filter(~pl.col("chosen") & (pl.col("row") == "1")).sort("place")["score.length"].to_list()
    easy = [good > bad for at, good in enumerate(chosen) for bad in rejected[:at]]
    figure = results["rmbench"]["rules"]["length"]["extra"]["chat"]["easy"]["value"]
    assert figure == pytest.approx(sum(easy) / len(easy))


def test_the_tables_of_all_suites_are_shown(extended: tuple[Path, dict[str, Any]]) -> None:
    shown = armorm("eval", "--recipe", "demo.toml", "--suite", "rmbench", folder=extended[0])
    assert shown.returncode == 0, shown.stderr
    for expected in ("RM-Bench, 5 rows in 5 subsets", "difficulty", "hard", "95 % interval"):
        assert expected in shown.stdout


def test_a_suite_that_the_recipe_does_not_name_is_one_sentence(extended: tuple[Path, dict[str, Any]]) -> None:
    done = armorm("eval", "--recipe", "demo.toml", "--suite", "judgebench", folder=extended[0])
    assert done.returncode == 2
    assert "add a [[suites]] table with source = 'judge_bench' to the recipe" in done.stderr
    assert "Traceback" not in done.stderr


def test_tables_of_an_earlier_version_are_refused(extended: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(extended[0], folder)
    path = folder / "runs" / "demo" / "extract.json"
    values = json.loads(path.read_text())
    del values["checksum"]
    path.write_text(json.dumps(values | {"table_stamps": {}}))
    done = armorm("eval", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 2
    assert "was written by an earlier version: run `armorm extract` again" in done.stderr


def test_every_suite_can_be_named_on_the_command_line_and_bears_its_name() -> None:
    (option,) = [part for part in dict(commands())["armorm eval"].params if part.name == "suite"]
    assert option.metavar == f"[{'|'.join([*SUITES, 'all', 'a set of the recipe'])}]"
    assert [suite.name for suite in SUITES.values()] == list(SUITES)


def test_the_command_line_starts_without_a_suite() -> None:
    code = "import sys, pipelines.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"polars", "torch", "evaluation.suites.suite"} & set(loaded.stdout.split())
