"""`armorm suggest`: rows ranked by what ratings would teach, as a user calls it, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cache.keys import key_column
from cache.progress import silent
from heads.ridge.uncertainty import Uncertainty
from pipelines.artefacts import EXAMPLES, UNCERTAINTY
from pipelines.cli import main
from pipelines.commands.fit_heads import fit_heads
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.small_run import run_here, small_run

NEW = [{"id": f"new-{n}", "prompt": f"What are {n} owls?", "response": "Wise birds " * (n % 7 + 1)} for n in range(12)]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of an extracted and fitted run."""
    path = small_run(tmp_path_factory.mktemp("suggest"), prompts=40)
    path.write_text(path.read_text().replace("store =", "split = { validation = 0.3 }\nstore =", 1))
    run_here(path)
    fit_heads(Run(read_recipe(path)), silent)
    return path


class Answer:
    """The answer of a call of the command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def suggest(
    recipe: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Any:
    """Calls `armorm suggest` in this process on some rows."""

    def call(rows: list[dict[str, Any]], *arguments: str, of: Path = recipe) -> Answer:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = ["armorm", "suggest", "--recipe", str(of), "--input", str(tmp_path / "rows.jsonl"), *arguments]
        monkeypatch.setattr("sys.argv", given)
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfd.readouterr()
        return Answer(code, out, err + caplog.text)  # the log, which the command line writes to standard error

    return call


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_come_back_ranked_with_leverage_and_objectives(suggest: Any, tmp_path: Path) -> None:
    out = tmp_path / "to_rate.jsonl"
    answer = suggest(NEW, "-n", "5", "--output", str(out), "--criterion", "d-optimal")
    rows = lines(out)
    assert (answer.code, [row["rank"] for row in rows]) == (0, [1, 2, 3, 4, 5])
    assert all(NEW[row["row"] - 1]["id"] == row["id"] and row["response"] for row in rows)
    gains = [row["gain"] for row in rows]
    assert gains == sorted(gains, reverse=True)
    assert rows[0]["gain"] == pytest.approx(np.log1p(rows[0]["leverage"]))  # nothing was chosen before it
    assert all(row["objectives"] == ["polite"] and row["gains"] == {"polite": row["gain"]} for row in rows)


def test_leverage_and_its_quantile_are_those_of_the_runs_factors(recipe: Path, suggest: Any, tmp_path: Path) -> None:
    run = Run(read_recipe(recipe))
    uncertainty = Uncertainty.of_arrays(run.arrays(UNCERTAINTY))
    validation = run.table(EXAMPLES).filter(pl.col("split") == "validation")
    features = run.store.gather(key_column(validation["response_key"]))[:, 0]  # (n, d)
    expected = uncertainty.leverages(features)[:, 0]
    suggest(NEW, "-n", "3", "--output", str(tmp_path / "out.jsonl"))
    rows = lines(tmp_path / "out.jsonl")
    assert [row["quantile"] for row in rows] == pytest.approx(
        [(expected < row["leverage"]).mean() for row in rows], abs=1.5 / len(expected)
    )


def test_repeated_and_rated_responses_are_left_out_and_counted(recipe: Path, suggest: Any) -> None:
    rated = [{name: row[name] for name in ("prompt", "response")} for row in lines(recipe.parent / "rated.jsonl")[:4]]
    answer = suggest([*NEW, *NEW[:3], *rated], "-n", "100", "--json")
    told = json.loads(answer.out)
    assert (told["rows"], told["repeated"], told["rated"], told["candidates"]) == (19, 3, 4, 12)
    assert told["suggested"] == 12
    assert "only 12 responses are left to suggest: all of them are ranked" in answer.err


def test_features_that_the_store_has_are_not_computed_again(recipe: Path, suggest: Any, tmp_path: Path) -> None:
    """A rating for another objective is no reason to leave a row out, and its feature is in the store."""
    text = recipe.read_text().replace(
        'objectives = [{ name = "polite", low = 1, high = 7 }]',
        'objectives = [{ name = "polite", low = 1, high = 7 }, { name = "brief", low = 1, high = 7 }]',
    )
    text = text.replace("rated.jsonl", "both.jsonl").replace('name = "small"', 'name = "both"')
    folder = recipe.parent
    rows = lines(folder / "rated.jsonl")
    both = [row | ({"brief": row["polite"]} if number % 3 else {}) for number, row in enumerate(rows)]
    (folder / "both.jsonl").write_text("".join(json.dumps(row) + "\n" for row in both))
    other = folder / "both.toml"
    other.write_text(text)
    assert run_here(other) == 0
    fit_heads(Run(read_recipe(other)), silent)
    unrated = [{name: row[name] for name in ("prompt", "response")} for row in both if "brief" not in row]
    told = json.loads(suggest(unrated, "--objective", "brief", "--json", of=other).out)
    assert told["from_store"] == told["candidates"] > 0
    assert (told["rated"], told["candidates"] + told["repeated"]) == (0, len(unrated))
    assert json.loads(suggest(unrated, "--json", of=other).out)["candidates"] == 0  # each is rated for polite


def test_several_responses_of_a_row_are_candidates_each(suggest: Any, tmp_path: Path) -> None:
    rows = [{"prompt": "Name a colour.", "responses": ["Red.", "Blue, which is the colour of the sea.", ""]}]
    answer = suggest(rows, "--output", str(tmp_path / "out.jsonl"), "--prefix", "s_")
    found = lines(tmp_path / "out.jsonl")
    assert sorted(row["s_place"] for row in found) == [0, 1]
    assert "skipped: row 1: " in answer.err
    assert "1 skipped" in answer.out


def test_standard_output_has_the_rows_alone(suggest: Any) -> None:
    answer = suggest(NEW, "-n", "2", "--output", "-")
    assert [json.loads(line)["rank"] for line in answer.out.splitlines()] == [1, 2]
    assert "12 to choose from" in answer.err


def test_rows_that_cannot_be_rated_are_skipped_with_a_reason_and_none_left_is_code_1(suggest: Any) -> None:
    rows = [{"prompt": "a"}, {"prompt": "a", "response": "b", "rank": 3}, {"prompt": "a", "response": ""}]
    answer = suggest(rows, "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["candidates"], told["suggested"]) == (1, 0, 0)
    assert [number for number, _ in told["skipped"]] == [1, 2, 3]
    assert "it has a key 'rank' already, which --prefix can keep apart" in answer.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--input", "none.jsonl"), "there is no file none.jsonl: name one with --input"),
        (("--objective", "rude"), "--objective rude is not one that the run has a head for: name one of polite"),
        (("--output", "-", "--json"), "--json and the rows would both go to standard output"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(suggest: Any, arguments: tuple[str, ...], sentence: str) -> None:
    answer = suggest(NEW, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert sentence in answer.err
    assert "Traceback" not in answer.err


def test_the_input_is_not_written_over(suggest: Any, tmp_path: Path) -> None:
    answer = suggest(NEW, "--output", str(tmp_path / "rows.jsonl"))
    assert answer.code == 2
    assert "--input and --output are both" in answer.err
    assert len(lines(tmp_path / "rows.jsonl")) == len(NEW)


def test_a_run_without_uncertainty_is_refused(recipe: Path, suggest: Any) -> None:
    without = recipe.with_name("without.toml")
    without.write_text(recipe.read_text() + "\n[heads]\nuncertainty = false\n")
    answer = suggest(NEW, of=without)
    assert answer.code == 2
    assert "heads.uncertainty is false, and suggest needs it: set it to true and run `armorm fit-heads`" in answer.err
