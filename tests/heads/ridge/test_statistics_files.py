"""Statistics on disk: the same after reading back, read when needed, and never believed when damaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from heads.ridge.files import FOLDER, INDEX, Origin, load_statistics, save_statistics
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StatisticsDamageError
from heads.ridge.subset import GroupKey, Scope

STAMP = {"examples": "abc"}
ORIGIN = Origin("f", {"small/train": "0123456789abcdef", "large/train": "a", "large/validation": "b"})
BOTH = Scope(("train", "validation"))


def made(width: int = 24) -> GramStatistics:
    """A group of rows, and groups of sums with some rows waiting."""
    rng = np.random.default_rng(0)
    statistics = GramStatistics(("a", "b"), width, storage="float16")
    features = rng.standard_normal((40_000, width)).astype(np.float16).astype(np.float32)
    targets = rng.random((40_000, 2))
    targets[::3, 1] = np.nan
    statistics.add("small", "train", features[:30], targets[:30], np.arange(30) % 4)
    statistics.add("large", "train", features, targets)
    statistics.add("large", "validation", features[:500], targets[:500])
    assert {group.is_rows for group in statistics.groups.values()} == {True, False}
    return statistics


def test_statistics_come_back_as_they_were(tmp_path: Path) -> None:
    statistics = made()
    save_statistics(tmp_path, statistics, ORIGIN, STAMP)
    saved = load_statistics(tmp_path)
    assert (saved.origin, saved.stamp) == (ORIGIN, STAMP)
    again = saved.statistics
    assert again.groups.keys() == statistics.groups.keys()
    assert (again.objectives, again.layout, again.layers) == (statistics.objectives, statistics.layout, 1)
    fresh = made()
    fresh.flush()
    for objective in range(2):
        for other in (statistics, again):  # saved ones are read from their files too
            one, two = fresh.subset(objective, BOTH), other.subset(objective, BOTH)
            assert one.n == two.n
            assert one.xx().tobytes() == two.xx().tobytes()
            assert one.xy.tobytes() == two.xy.tobytes()
            assert one.yy.tobytes() == two.yy.tobytes()


def test_saved_statistics_take_no_memory_until_they_are_needed(tmp_path: Path) -> None:
    save_statistics(tmp_path, made(), ORIGIN, STAMP)
    again = load_statistics(tmp_path).statistics
    assert sum(group.bytes for group in again.groups.values()) == 0


def test_rows_can_be_added_to_statistics_that_were_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    more, targets = rng.standard_normal((300, 24)).astype(np.float16).astype(np.float32), rng.random((300, 2))
    save_statistics(tmp_path, made(), ORIGIN, STAMP)
    again = load_statistics(tmp_path).statistics
    whole = made()
    for statistics in (again, whole):
        statistics.add("small", "train", more, targets)
    assert again.subset(0).n == whole.subset(0).n
    np.testing.assert_allclose(again.subset(0).xx(), whole.subset(0).xx(), rtol=1e-12, atol=1e-9)
    save_statistics(tmp_path, again, ORIGIN, STAMP)
    assert load_statistics(tmp_path).statistics.subset(0).n == whole.subset(0).n


def test_files_that_the_index_no_longer_names_are_taken_away(tmp_path: Path) -> None:
    statistics = made()
    save_statistics(tmp_path, statistics, ORIGIN, STAMP)
    before = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert len(before) == len(statistics.groups)
    statistics.groups = {key: group for key, group in statistics.groups.items() if key.dataset == "small"}
    save_statistics(tmp_path, statistics, Origin("f", {"small/train": "0123456789abcdef"}), STAMP)
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {
        name for name in before if name.startswith("small")
    }


def test_nothing_saved_is_told_from_something_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_statistics(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 2, "objectives": 3, "layout": {}, "groups": {}}']
)
def test_a_damaged_index_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(StatisticsDamageError, match=r"statistics.json is damaged .*: run `armorm fit-heads` again"):
        load_statistics(tmp_path)


def test_an_index_of_another_version_is_named(tmp_path: Path) -> None:
    save_statistics(tmp_path, made(), ORIGIN, STAMP)
    index = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps(index | {"version": 99}))
    with pytest.raises(StatisticsDamageError, match="another version"):
        load_statistics(tmp_path)


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[-len(content) // 4] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
def test_a_damaged_file_is_named_when_its_group_is_looked_at(tmp_path: Path, how: str) -> None:
    save_statistics(tmp_path, made(), ORIGIN, STAMP)
    (path,) = (tmp_path / FOLDER).glob("large-validation-0-3-*")
    damage(path, how)
    key = GroupKey("large", "validation", 0, (True, True))
    with pytest.raises(StatisticsDamageError, match="large-validation-0-3"):
        load_statistics(tmp_path).statistics.groups[key].check()


def test_no_file_is_a_pickle(tmp_path: Path) -> None:
    save_statistics(tmp_path, made(), ORIGIN, STAMP)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}
