"""`minimum_margin` and `per_prompt`: which pairs of a set are used, and why the others are not."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from extract.collect import Dataset, collect
from extract.settings import PairSettings, SplitSettings
from extract.sources import SOURCES
from extract.templating import ConversationEncoder

ROWS = [
    ("What is tea?", 2.5),
    ("What is tea?", 2.0),
    ("What is tea?", 3.0),
    ("What is tea?", 9.0),
    ("What is ink?", 8.0),
    ("What is ink?", None),
]
"""Prompt and ratio of votes of some pairs in the schema of SHP."""


def used(folder: Path, encoder: ConversationEncoder, **settings: object) -> tuple[list[str], dict[str, int]]:
    """Rows that became pairs, and the reasons why the others did not."""
    path = folder / "train.json"
    with path.open("w") as file:
        for number, (prompt, ratio) in enumerate(ROWS):
            row = {"history": prompt, "labels": 1, "human_ref_A": f"Answer {number}.", "human_ref_B": "No idea."}
            file.write(json.dumps(row | {"score_ratio": ratio}) + "\n")
    chosen = PairSettings.model_validate({"source": "shp", "path": path, **settings})
    collected = collect([Dataset(chosen, SOURCES["shp"], folder, (path,))], [], [], encoder, SplitSettings())
    rows = [row.rpartition("#")[2] for row in collected.tables.pairs["row"]]
    return rows, collected.skipped.reasons("shp")


def test_all_pairs_are_used_without_limits(tmp_path: Path, encoder: ConversationEncoder) -> None:
    assert used(tmp_path, encoder) == (["0", "1", "2", "3", "4", "5"], {})


def test_pairs_need_a_margin_above_the_minimum(tmp_path: Path, encoder: ConversationEncoder) -> None:
    rows, reasons = used(tmp_path, encoder, minimum_margin=2.0)
    assert rows == ["0", "2", "3", "4"]
    assert sum(reasons.values()) == 2
    assert any("not above minimum_margin" in reason for reason in reasons)
    assert "the pair has no margin to compare with minimum_margin" in reasons


def test_a_prompt_has_so_many_pairs_of_those_with_the_margin(tmp_path: Path, encoder: ConversationEncoder) -> None:
    rows, reasons = used(tmp_path, encoder, minimum_margin=2.0, per_prompt=2)
    assert rows == ["0", "2", "4"]
    assert sum(reasons.values()) == 3


@pytest.mark.parametrize(
    "settings",
    [{"per_prompt": 0}, {"minimum_margin": -1.0}, {"by_each": ("a",)}, {"pick": "all"}],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PairSettings.model_validate({"source": "shp", **settings})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"by": {"a": 1.0}, "by_each": ("a",)}, "by or by_each"),
        ({}, "by or by_each"),
        ({"by_each": ("a", "a")}, "by_each names an objective twice"),
        ({"by": {"a": 1.0}, "per_prompt": 2}, "pick says how many pairs"),
    ],
)
def test_derived_sets_say_by_what_they_are_derived(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        PairSettings.model_validate({"source": "derived", "name": "d", "ratings": "r", **settings})
