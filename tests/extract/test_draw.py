"""A limit draws rows over all files of a set, the same on every machine, and a larger one adds to a smaller one's."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.sources import SOURCES
from extract.sources.draw import draw
from extract.sources.reader import read

SUBREDDITS = {
    "askacademia": 31_450,
    "askanthropology": 3_910,
    "askbaking": 44_007,
    "askcarguys": 3_227,
    "askculinary": 45_710,
    "askdocs": 6_449,
    "askengineers": 57_096,
    "askhistorians": 3_264,
    "askhr": 8_295,
    "askphilosophy": 10_307,
    "askphysics": 7_364,
    "askscience": 13_316,
    "asksciencefiction": 29_382,
    "asksocialscience": 2_706,
    "askvet": 3_300,
    "changemyview": 38_173,
    "explainlikeimfive": 19_592,
    "legaladvice": 21_170,
}
"""Training rows of SHP's files, 348,718 in all (the card of stanfordnlp/SHP)."""

Files = list[tuple[str, int]]
FILES = st.lists(st.integers(0, 40), min_size=1, max_size=5).map(
    lambda counts: [(f"{number}/train.json", count) for number, count in enumerate(counts)]
)


@given(FILES, st.integers(0, 120), st.integers(0, 120))
def test_a_larger_limit_adds_rows_to_those_of_a_smaller_one(files: Files, one: int, other: int) -> None:
    small, large = (draw(files, limit) for limit in sorted((one, other)))
    rows = sum(count for _, count in files)
    assert sum(map(len, large)) == min(max(one, other), rows)
    for (_, count), few, many in zip(files, small, large, strict=True):
        assert set(few) <= set(many) <= set(range(count))


@given(FILES, st.integers(0, 120))
def test_a_file_added_to_the_set_only_takes_places(files: Files, limit: int) -> None:
    before = draw(files, limit)
    after = draw([*files, ("more/train.json", 7)], limit)
    assert all(set(now) <= set(then) for now, then in zip(after, before, strict=False))


def test_the_rows_are_those_of_every_machine() -> None:
    drawn = draw([("a/train.json", 50), ("b/train.json", 50)], 5)
    assert [sorted(numbers) for numbers in drawn] == [[9, 26], [3, 21, 43]]


def test_every_subreddit_of_shp_is_drawn_from_by_its_size() -> None:
    # The first 100,000 rows are from 5 of the 18 files, 61 % of them about baking and cooking.
    limit, total = 100_000, sum(SUBREDDITS.values())
    drawn = draw([(f"{name}/train.json", count) for name, count in SUBREDDITS.items()], limit)
    assert sum(map(len, drawn)) == limit
    for count, numbers in zip(SUBREDDITS.values(), drawn, strict=True):
        expected = limit * count / total
        assert abs(len(numbers) - expected) < 5 * expected**0.5


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5, 9])
def test_a_set_is_read_in_its_order_as_far_as_it_is_drawn(tmp_path: Path, limit: int) -> None:
    row = {"prompt": "Q", "response": "A", "is_safe": True}
    paths = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    paths[0].write_text("\n".join([json.dumps(row), "", "{", json.dumps(row)]))
    paths[1].write_text("\n".join([json.dumps(row), json.dumps(row)]))
    found = [record.row for record in read(SOURCES["beavertails"], paths, tmp_path, limit=limit)]
    drawn = draw([("a.jsonl", 3), ("b.jsonl", 2)], limit)
    names = [f"{name}#{number}" for name, numbers in zip("ab", drawn, strict=True) for number in sorted(numbers)]
    assert found == [name.replace("#", ".jsonl#") for name in names]
    assert len(found) == min(limit, 5)
