"""`armorm new` writes a recipe from the columns of one's files, and says what it guessed."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache import UserError
from pipelines.commands.new import new
from pipelines.guesses import SCALES, pair_file, rated_file, usual_scale
from pipelines.new_recipe import text_of
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY

RATED = [
    {"id": at, "prompt": f"Question {at // 2}", "response": f"Answer {at}", "polite": 1 + at % 7, "ok": "n/a"}
    for at in range(40)
]


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("write", [lines, table])
def test_ratings_become_objectives_and_pairs_are_derived(tmp_path: Path, write: Any) -> None:
    rated = write(tmp_path / ("rated.jsonl" if write is lines else "rated.csv"), RATED)
    path = tmp_path / "recipes" / "mine.toml"
    path.parent.mkdir()
    result = new(path, [rated], [], [], str(TINY))
    (found,) = result.ratings
    assert (found.rows, found.prompts, found.several) == (40, 20, True)
    assert [(each.name, each.low, each.high) for each in found.objectives] == [("polite", 1, 7)]
    assert found.left_out == (
        "column 'id': its name is that of a number or of a place",
        "column 'ok': its ratings do not differ",
    )
    recipe = Run(read_recipe(path)).recipe
    assert recipe.name == "mine"
    assert recipe.ratings[0].path == tmp_path / rated.name
    assert [(pairs.source, pairs.by) for pairs in recipe.pairs] == [("derived", {"polite": 1.0})]
    assert recipe.split.validation == 0.2


def test_preferences_under_other_names_are_found(tmp_path: Path) -> None:
    pairs = lines(tmp_path / "pairs.jsonl", [{"Query": "Q?", "better": "Yes.", "worse": "No."}] * 3)
    suite = lines(tmp_path / "suite.jsonl", [{"prompt": "Q?", "chosen": "Yes.", "rejected": "No."}])
    rated = lines(tmp_path / "rated.jsonl", RATED)
    path = tmp_path / "mine.toml"
    result = new(path, [rated], [pairs], [suite], str(TINY))
    assert result.pairs[0].columns == {"prompt": "Query", "chosen": "better", "rejected": "worse"}
    recipe = read_recipe(path)
    assert [each.source for each in recipe.pairs] == ["preference"]
    assert recipe.pairs[0].columns == result.pairs[0].columns
    assert [each.path for each in recipe.suites] == [Path("suite.jsonl")]


def test_one_answer_a_prompt_derives_nothing_and_says_what_the_gate_needs(tmp_path: Path) -> None:
    rated = lines(tmp_path / "rated.jsonl", [row | {"prompt": row["response"]} for row in RATED])
    path = tmp_path / "mine.toml"
    new(path, [rated], [], [], str(TINY))
    assert read_recipe(path).pairs == ()
    assert "# The gate learns from preferences: rows with prompt, chosen and rejected." in path.read_text()


def test_an_objective_of_verbosity_is_what_is_taken_out(tmp_path: Path) -> None:
    rated = lines(tmp_path / "rated.jsonl", [row | {"verbosity": row["id"] % 5} for row in RATED])
    path = tmp_path / "mine.toml"
    new(path, [rated], [], [], str(TINY))
    assert read_recipe(path).debiasing.verbosity == "verbosity"


@pytest.mark.parametrize(
    ("rows", "option", "sentence"),
    [
        (
            [{"prompt": "Q", "response": "A", "note": "good"}],
            "ratings",
            r"has no column of ratings \(column 'note': it is",
        ),
        ([{"text": "Q", "polite": 1}, {"text": "R", "polite": 2}], "ratings", "no row of .* can be used"),
        ([{"left": "a", "right": "b"}], "pairs", "no row of .* can be used .*column 'chosen' is missing"),
        ([], "ratings", "has no column of ratings"),
    ],
)
def test_what_cannot_be_guessed_is_one_sentence(
    tmp_path: Path, rows: list[dict[str, Any]], option: str, sentence: str
) -> None:
    path = lines(tmp_path / "rows.jsonl", rows)
    given_files: dict[str, list[Path]] = {"ratings": [], "pairs": [], "suites": []} | {option: [path]}
    with pytest.raises(UserError, match=sentence):
        new(tmp_path / "mine.toml", **given_files, backbone=None)
    assert not (tmp_path / "mine.toml").exists()


def test_a_recipe_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# mine")
    with pytest.raises(UserError, match="is there already"):
        new(path, [], [], [], None)
    assert path.read_text() == "# mine"
    with pytest.raises(UserError, match="name a file with --ratings or --pairs"):
        new(tmp_path / "other.toml", [], [], [], None)
    with pytest.raises(UserError, match=r"there is no file .*nowhere\.csv"):
        new(tmp_path / "other.toml", [tmp_path / "nowhere.csv"], [], [], None)


def test_names_of_any_spelling_are_written_as_texts(tmp_path: Path) -> None:
    names = ['quotes "and" \\', "café ☕", "a.b", "x]\n[y"]
    rows = [row | dict.fromkeys(names[:3], row["id"] % 3) for row in RATED]
    rated = rated_file(lines(tmp_path / 'strange "name".jsonl', rows))
    text = text_of(tmp_path / "mine.toml", "org/name", [rated], [], [], None)
    (tmp_path / "mine.toml").write_text(text)
    recipe = read_recipe(tmp_path / "mine.toml")
    assert {objective.name for objective in recipe.objectives} == {"polite", *names[:3]}


@given(st.lists(st.sampled_from(range(-3, 120)), min_size=2))
def test_a_guessed_scale_holds_every_rating(ratings: list[int]) -> None:
    low, high = usual_scale(min(ratings), max(ratings))
    assert low <= min(ratings) <= max(ratings) <= high


@pytest.mark.parametrize(
    ("seen", "scale"), [((1, 4), (1, 5)), ((0, 3), (0, 4)), ((2, 5), (1, 5)), ((0, 1), (0, 1)), ((0.2, 0.9), (0, 1))]
)
def test_the_usual_scale_is_guessed(seen: tuple[float, float], scale: tuple[float, float]) -> None:
    assert scale in SCALES
    assert usual_scale(*seen) == scale


def test_pairs_in_any_form_that_extract_reads_are_taken(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    other = [*turns[:1], {"role": "assistant", "content": "B"}]
    found = pair_file(lines(tmp_path / "pairs.jsonl", [{"chosen": turns, "rejected": other}]))
    assert (found.rows, found.columns) == (1, {})
    assert found.form
