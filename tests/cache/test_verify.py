"""`verify` finds every kind of damage, and repairing takes away exactly what is damaged."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cache import DamageError, FeatureStore, UserError, manifest, sealing
from cache.formats import FormatName
from cache.verify import verify
from tests.cache.rows import FORMATS, flip, new_store, seal, shard_path, some_features, some_keys


def three_shards(root: Path, shard_format: FormatName = "parquet") -> FeatureStore:
    store = new_store(root, shard_format)
    for name, start in (("a", 0), ("b", 10), ("c", 20)):
        seal(store, name, start, start + 10)
    return store


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_data(path: Path) -> None:
    flip(path, path.read_bytes().index(some_features(14, 15).astype("<f2").tobytes()) + 5)


def flip_footer(path: Path) -> None:
    flip(path, -20)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (Path.unlink, r"is gone although the manifest names it"),
    "truncated": (cut, r"bytes instead of"),
    "data": (flip_data, r"does not match its SHA-256"),
    "footer": (flip_footer, r"does not match its SHA-256"),
}


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_whole_store_has_no_problem(tmp_path: Path, shard_format: FormatName) -> None:
    store = three_shards(tmp_path, shard_format)
    findings = verify(store.folder)
    assert (findings.problems, findings.shards, findings.rows, findings.leftovers) == ([], 3, 30, [])
    assert findings.bytes == sum(path.stat().st_size for path in (store.folder / "shards").iterdir())


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize("kind", DAMAGE)
def test_repairing_drops_the_damaged_shard_alone_and_it_can_be_filled_again(
    tmp_path: Path, shard_format: FormatName, kind: str
) -> None:
    damage, sentence = DAMAGE[kind]
    store = three_shards(tmp_path, shard_format)
    before = shard_path(store, "b").read_bytes()
    damage(shard_path(store, "b"))
    found = verify(store.folder)
    assert len(found.problems) == 1
    assert shard_path(store, "b").name in found.problems[0]
    assert re.search(sentence, found.problems[0])
    assert (found.rows, found.rows_lost, found.repaired) == (20, 10, False)
    repaired = verify(store.folder, repair=True)
    assert (repaired.problems, repaired.repaired) == (found.problems, True)
    assert not shard_path(store, "b").exists()
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.missing(some_keys(0, 30)).tolist() == [False] * 10 + [True] * 10 + [False] * 10
    seal(again, "b", 10, 20)
    assert shard_path(again, "b").read_bytes() == before
    assert verify(store.folder).problems == []


@pytest.mark.parametrize("shard_format", FORMATS)
def test_the_shard_of_a_damaged_manifest_line_is_whole_and_is_named_again(
    tmp_path: Path, shard_format: FormatName
) -> None:
    store = three_shards(tmp_path, shard_format)
    flip(store.folder / "manifest.jsonl", 400)
    with pytest.raises(DamageError, match=r"manifest\.jsonl, line 2, is damaged: run `armorm cache verify --repair`"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)
    found = verify(store.folder, repair=True)
    assert (found.damaged_lines, found.damaged_shards, found.adopted) == (1, [], [shard_path(store, "b").name])
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.gather(some_keys(0, 30)).tolist() == some_features(0, 30).tolist()
    assert verify(store.folder).problems == []


def test_a_damaged_line_whose_shard_is_damaged_too_leaves_its_rows_missing(tmp_path: Path) -> None:
    store = three_shards(tmp_path)
    flip(store.folder / "manifest.jsonl", 400)
    flip_data(shard_path(store, "b"))
    found = verify(store.folder, repair=True)
    assert found.adopted == []
    assert not shard_path(store, "b").exists()
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.missing(some_keys(0, 30)).sum() == 10


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_manifest_that_is_gone_is_written_again_from_the_shards(tmp_path: Path, shard_format: FormatName) -> None:
    store = three_shards(tmp_path, shard_format)
    (store.folder / "manifest.jsonl").unlink()
    with pytest.raises(DamageError, match=r"manifest\.jsonl is gone"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert verify(store.folder, repair=True).problems == [f"{store.folder / 'manifest.jsonl'} is gone"]
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.gather(some_keys(0, 30)).tolist() == some_features(0, 30).tolist()


def test_lines_and_shards_of_another_store_are_dropped(tmp_path: Path) -> None:
    store, other = three_shards(tmp_path), new_store(tmp_path, layers=(-1, -2))
    seal(other, "x", 100, 110)
    with (store.folder / "manifest.jsonl").open("ab") as file:
        file.write((other.folder / "manifest.jsonl").read_bytes())
    shutil.copy(shard_path(other, "x"), store.folder / "shards")
    with pytest.raises(DamageError, match=rf"line 4, names a shard of the store {other.folder.name}, not of"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)
    foreign = shard_path(other, "x").read_bytes()
    found = verify(store.folder, repair=True)
    assert found.adopted == []
    assert found.leftovers == ["x.parquet"]
    assert found.set_aside == [str(store.folder / "set-aside" / "x.parquet")]
    assert (store.folder / "set-aside" / "x.parquet").read_bytes() == foreign
    assert not (store.folder / "shards" / "x.parquet").exists()
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert len(again) == 30
    assert again.missing(some_keys(100, 110)).all()


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_shard_of_another_store_in_the_place_of_a_named_one_is_set_aside_each_time(
    tmp_path: Path, shard_format: FormatName
) -> None:
    store, other = three_shards(tmp_path, shard_format), new_store(tmp_path, shard_format, layers=(-1, -2))
    kept = []
    for number, name in enumerate(("a", "b")):
        seal(other, name, 100 + 10 * number, 110 + 10 * number)
        shutil.copy(shard_path(other, name), shard_path(store, "a"))
        kept.append(shard_path(other, name).read_bytes())
        (place,) = verify(store.folder, repair=True).set_aside
        assert Path(place).read_bytes() == kept[-1]
        seal(store, "a", 0, 10)
    assert [path.read_bytes() for path in sorted((store.folder / "set-aside").iterdir())] == kept
    assert verify(store.folder).whole
    assert len(FeatureStore.open(tmp_path, store.fingerprint.digest)) == 30


def test_what_says_that_it_is_this_stores_is_removed_and_what_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    store = three_shards(tmp_path)
    flip_data(shard_path(store, "b"))
    cut(shard_path(store, "c"))
    half = shard_path(store, "c").read_bytes()
    (store.folder / "plans").mkdir(exist_ok=True)
    (store.folder / "plans" / "mine.parquet").write_text("no plan")
    verify(store.folder, repair=True)
    assert {path.name: path.read_bytes() for path in (store.folder / "set-aside").iterdir()} == {
        "c.parquet": half,
        "mine.parquet": b"no plan",
    }
    assert [path.name for path in (store.folder / "shards").iterdir()] == ["a.parquet"]
    assert verify(store.folder).whole


def test_a_key_in_two_shards_is_found(tmp_path: Path) -> None:
    store = three_shards(tmp_path)
    entry = sealing.seal(
        store.folder, store.description, "d", some_keys(5, 6), np.zeros(1, np.int32), some_features(5, 6)
    )
    assert verify(store.folder).problems == [f"{entry.shard} holds a key that the store has already"]
    assert verify(store.folder, repair=True).rows == 30


def test_leftovers_are_reported_and_a_repair_adopts_the_whole_ones(tmp_path: Path) -> None:
    store = three_shards(tmp_path)
    lines = (store.folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (store.folder / "manifest.jsonl").write_bytes(b"".join(lines[:2]))
    (store.folder / "manifest.count").unlink()  # as version 0.2 left it, dying before it named its third shard
    (store.folder / "shards" / "d.parquet.partial").write_bytes(b"half")
    (store.folder / "shards" / "notes.txt").write_text("the user's own")
    looked = verify(store.folder)
    assert (looked.leftovers, looked.unnamed) == (["c.parquet", "d.parquet.partial"], ["c.parquet"])
    assert not looked.whole, "a whole shard that nobody can read is something to be told of"
    found = verify(store.folder, repair=True)
    assert (found.problems, found.adopted) == ([], ["c.parquet"])
    assert sorted(path.name for path in (store.folder / "shards").iterdir()) == [
        "a.parquet",
        "b.parquet",
        "c.parquet",
        "notes.txt",
    ]
    assert len(FeatureStore.open(tmp_path, store.fingerprint.digest)) == 30


def test_repairing_beside_a_writer_is_refused_and_looking_is_not(tmp_path: Path) -> None:
    store = three_shards(tmp_path)
    with store.writing():
        assert verify(store.folder).problems == []
        with pytest.raises(UserError, match="is writing to"):
            verify(store.folder, repair=True)


def die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_repair_killed_before_its_last_step_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = three_shards(tmp_path)
    flip_data(shard_path(store, "b"))
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "rewrite", die)
        with pytest.raises(KeyboardInterrupt):
            verify(store.folder, repair=True)
    assert shard_path(store, "b").exists()
    verify(store.folder, repair=True)
    assert verify(store.folder).problems == []
