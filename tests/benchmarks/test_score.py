"""The ways of `benchmarks.score` give the same numbers, and its table the right ratios."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.score import table
from benchmarks.score.figures import difference
from benchmarks.score.ways import EXACT, WAYS, by_length, model_class, pipeline_way, reward_model
from tests.benchmarks.random_folders import CONVERSATIONS, Folders


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in CONVERSATIONS))
    return path


def test_all_software_gives_the_same_numbers_of_the_same_backbone(folders: Folders, rows: Path) -> None:
    _, ours = reward_model(folders.model, rows)
    _, alone = pipeline_way(folders.classifier, rows, 1, ordered=False)
    _, padded = pipeline_way(folders.classifier, rows, 3, ordered=True)
    _, scores = model_class(folders.model, rows, 3)
    assert difference(ours, alone | scores) < 1e-4
    assert difference(padded, alone) < 1e-4
    assert len({round(number, 6) for number in alone["reward"]}) == len(CONVERSATIONS)  # the texts tell them apart


def test_the_longest_conversation_comes_first_where_batches_are_sorted() -> None:
    places = by_length(CONVERSATIONS)
    assert sorted(places) == list(range(len(CONVERSATIONS)))
    assert (places[0], places[-1]) == (3, 2)


def test_a_difference_is_in_units_of_the_spread() -> None:
    assert difference({"score": [0.0, 2.5]}, {"score": [0.0, 2.0], "reward": [1.0, 2.0]}) == pytest.approx(0.5)


def test_a_baseline_that_is_faster_is_shown_as_faster() -> None:
    def figures(seconds: list[float]) -> dict[str, object]:
        return {"seconds": seconds, "whole_seconds": seconds, "peak_bytes": [10**9], "difference": 0.0}

    ways = {"pipeline, one by one": figures([2.0, 4.0]), "`RewardModel.score`": figures([4.0, 4.0])}
    part = {"shape": "a shape", "conversations": 8, "prompts": "shared", "results": ways}
    shown = table({"parts": [part]})
    assert "| pipeline, one by one | 3.0 | 1.00 |  | 3.0 s | 1.00 GB | 0.0e+00 |" in shown
    assert "| `RewardModel.score` | 2.0 | 0.75 | 0.50 to 1.00 | 4.0 s |" in shown


@pytest.mark.slow
def test_the_command_measures_every_way_in_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "score.json"
    command = [sys.executable, "-m", "benchmarks.score", "--quick", "--most", "4", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    (part,) = report["parts"]
    assert part["results"].keys() == WAYS.keys()
    assert all(each["difference"] < 1e-4 for each in part["results"].values())
    assert {way for way, each in part["results"].items() if each["difference"] == 0.0} >= set(EXACT.values())
    assert table(report) in done.stdout
    assert "conditions" in report
