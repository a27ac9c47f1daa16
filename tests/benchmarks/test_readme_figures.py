"""Each performance figure of the README is the one that its run's JSON has."""

import json
from pathlib import Path

import pytest

from benchmarks.readme_figures import EXCEPTIONS, FIGURES, Figure, at, half_minutes, thousands, unlisted, words_of
from cache import UserError
from tests.pipelines.conftest import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.text)
def test_a_figure_is_the_one_of_its_json(figure: Figure) -> None:
    words = words_of(figure)
    if words is None:
        pytest.skip(f"no run of {figure.json} is kept yet: python -m benchmarks.all {figure.json} --keep")
    assert words in " ".join(README.split())


def test_no_figure_is_without_a_source() -> None:
    assert unlisted(README) == [], "enter it in benchmarks/readme_figures.py"


@pytest.mark.parametrize("words", [*EXCEPTIONS, *(figure.text.partition("{}")[0] for figure in FIGURES)])
def test_the_lists_name_nothing_that_the_readme_has_lost(words: str) -> None:
    assert words in " ".join(README.split())


def test_another_value_gives_other_words(tmp_path: Path) -> None:
    rate = Figure("runs at {} rows a second", "speed", ("lines", {"way": "ours"}, "rate"), thousands)
    path = tmp_path / "2026-12-01-epyc-2" / "speed.json"
    path.parent.mkdir()
    lines = [{"way": "theirs", "rate": 1.0}, {"way": "ours", "rate": 40405.0}]
    path.write_text(json.dumps({"lines": lines}))
    assert words_of(rate, tmp_path) == "runs at 40,000 rows a second"
    lines[1]["rate"] = 30500.0
    path.write_text(json.dumps({"lines": lines}))
    assert words_of(rate, tmp_path) == "runs at 30,000 rows a second"


@pytest.mark.parametrize(
    "figure",
    [
        "It is 12.3 times as fast.",
        "reads 1.8 × as fast",
        "It takes 40 ms.",
        "about twenty seconds",
        "runs at 9,000 rows a second",
        "needs 2.1 GB of memory",
        "half an hour",
    ],
)
def test_a_new_figure_is_found(figure: str) -> None:
    assert len(unlisted(README + "\n" + figure)) == 1


def test_words_without_a_figure_are_not_found() -> None:
    assert unlisted("As often as needed, in three lines, with 3 GB of disk, at a time, 19 objectives.") == []


def test_a_path_to_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="nothing is at 'rate'"):
        at({"seconds": 1.0}, ("rate",))
    with pytest.raises(UserError, match="2 entries have"):
        at([{"way": "ours"}, {"way": "ours"}], ({"way": "ours"}, "seconds"))


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "half a minute"), (65, "a minute"), (84, "a minute and a half"), (200, "3.5 minutes")]
)
def test_times_are_in_half_minutes(seconds: float, words: str) -> None:
    assert half_minutes(seconds) == words
