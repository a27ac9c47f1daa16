"""A store from elsewhere: whatever its files hold, one sentence, and nothing outside the store is touched."""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cache import DamageError, FeatureStore, UserError, checked_lines
from cache.fingerprint import digest_of
from cache.verify import verify
from tests.cache.rows import new_store, seal, shard_path, some_features, some_keys


def snapshot(folder: Path) -> dict[str, Any]:
    """Every file below a folder with its content, size of links included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Path]:
    """A folder next to the stores, in which nothing may change."""
    folder = tmp_path / "beside"
    folder.mkdir()
    for name in ("victim.txt", "victim.parquet", "victim.parquet.partial"):
        (folder / name).write_text("somebody's work, without a last newline")
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


def forged(body: bytes) -> bytes:
    """A line whose checksum is right."""
    return body + f"\t{zlib.crc32(body):08x}\n".encode()


def two_shards(root: Path) -> FeatureStore:
    store = new_store(root)
    for name, start in (("a", 0), ("b", 10)):
        seal(store, name, start, start + 10)
    return store


def entry(at: FeatureStore, **changed: object) -> dict[str, object]:
    line = {"store": at.folder.name, "rows": 1, "bytes": 3, "sha256": "0" * 64, "index": "0" * 64, "shard": "x.h5"}
    return {name: value for name, value in (line | changed).items() if value is not None}


LINES: dict[str, Callable[[FeatureStore, Path], bytes]] = {
    "absolute": lambda store, beside: json.dumps(entry(store, shard=str(beside / "victim.txt"))).encode(),
    "absolute shard": lambda store, beside: json.dumps(entry(store, shard=str(beside / "victim.parquet"))).encode(),
    "above": lambda store, _: json.dumps(entry(store, shard="../../../beside/victim.parquet")).encode(),
    "nothing": lambda *_: b"",
    "number": lambda store, _: json.dumps(entry(store, shard=5)).encode(),
    "list": lambda store, _: json.dumps(entry(store, shard=["a"])).encode(),
    "rows": lambda store, _: json.dumps(entry(store, rows="x")).encode(),
    "negative": lambda store, _: json.dumps(entry(store, bytes=-1)).encode(),
    "nul": lambda store, _: json.dumps(entry(store, shard="a\0.parquet")).encode(),
    "long": lambda store, _: json.dumps(entry(store, shard="a" * 5000 + ".parquet")).encode(),
    "hidden": lambda store, _: json.dumps(entry(store, shard=".parquet")).encode(),
    "terminal": lambda store, _: json.dumps(entry(store, shard="\x1b[2J.parquet")).encode(),
    "other store": lambda store, _: json.dumps(entry(store, store="\x1b[2J")).encode(),
    "missing": lambda store, _: json.dumps(entry(store, sha256=None)).encode(),
    "further": lambda store, _: json.dumps(entry(store, further=1)).encode(),
    "deep": lambda *_: b"[" * 100_000,
    "no text": lambda *_: b"\xff\xfe",
    "overflow": lambda store, _: json.dumps(entry(store, bytes=1 << 70)).encode(),
}


@pytest.mark.parametrize("kind", LINES)
def test_a_forged_line_of_the_manifest_is_one_sentence_and_is_taken_out(
    tmp_path: Path, beside: Path, kind: str
) -> None:
    store = two_shards(tmp_path)
    with (store.folder / "manifest.jsonl").open("ab") as file:
        file.write(forged(LINES[kind](store, beside)))
    with pytest.raises(DamageError, match=r"manifest\.jsonl, line 3, holds nothing that belongs there \(") as caught:
        FeatureStore.open(tmp_path, store.folder.name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert len(verify(store.folder).problems) == 1
    verify(store.folder, repair=True)
    assert verify(store.folder).whole
    again = FeatureStore.open(tmp_path, store.folder.name)
    assert again.gather(some_keys(0, 20)).tolist() == some_features(0, 20).tolist()


@pytest.mark.parametrize(
    "body", [b"", b'{"key":"zz","reason":"r"}', b'{"reason":"r"}', b'{"key":"00","reason":5}', b"[" * 100_000]
)
def test_a_skipped_key_that_is_none_is_found_passed_over_and_taken_out(tmp_path: Path, body: bytes) -> None:
    store = two_shards(tmp_path)
    key = some_keys(50, 51)[0].tobytes()
    store.skip({key: "not finite"})
    with (store.folder / "refused.jsonl").open("ab") as file:
        file.write(forged(body))
    assert FeatureStore.open(tmp_path, store.folder.name).skipped == {key: "not finite"}
    (problem,) = verify(store.folder).problems
    assert "refused.jsonl, line 2, holds nothing that belongs there" in problem
    assert verify(store.folder, repair=True).whole
    assert verify(store.folder).whole
    assert FeatureStore.open(tmp_path, store.folder.name).skipped == {key: "not finite"}


def described(**changed: object) -> Callable[[dict[str, Any]], bytes]:
    def change(body: dict[str, Any]) -> bytes:
        body = {name: value for name, value in body.items() if name != "checksum"} | changed
        return json.dumps(body | {"checksum": digest_of(body)}).encode()

    return change


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "deep": lambda _: b'{"version":1,"x":' + b"[" * 100_000,
    "list": lambda _: b"[]",
    "no text": lambda _: b"\xff",
    "empty": lambda _: b"",
    "version": described(version="1"),
    "no size": described(hidden_size=0),
    "text size": described(hidden_size="8"),
    "huge size": described(hidden_size=1 << 60),
    "format": described(format="pickle"),
    "further": described(further=1),
    "fingerprint": described(fingerprint=5),
    "part": described(fingerprint={"backbone": "b"}),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_description_that_does_not_fit_is_one_sentence(tmp_path: Path, kind: str) -> None:
    store = two_shards(tmp_path)
    path = store.folder / "store.json"
    path.write_bytes(DESCRIPTIONS[kind](json.loads(path.read_bytes())))
    for look in (lambda: FeatureStore.open(tmp_path, store.folder.name), lambda: verify(store.folder, repair=True)):
        with pytest.raises(UserError, match=r"store\.json is damaged \(.*\): remove that file") as caught:
            look()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("changed", [{"layers": []}, {"layers": list(range(5000))}, {"store_dtype": "int8"}])
def test_a_description_whose_folder_is_named_after_it_is_looked_at_all_the_same(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    store = two_shards(tmp_path)
    path = store.folder / "store.json"
    body = json.loads(path.read_bytes())
    parts = body["fingerprint"] | changed
    path.write_bytes(described(fingerprint=parts)(body))
    store.folder.rename(tmp_path / digest_of(parts)[:16])
    with pytest.raises(UserError, match="is damaged"):
        verify(tmp_path / digest_of(parts)[:16], repair=True)


@pytest.mark.parametrize("name", ["../beside", "/etc", "", ".", "0123456789ABCDEF", "0123456789abcdef/.."])
def test_what_is_no_name_of_a_store_opens_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not the name of a store"):
        FeatureStore.open(tmp_path, name)


def test_folders_in_the_place_of_shards_are_named_and_all_else_is_mended(tmp_path: Path) -> None:
    store = two_shards(tmp_path)
    shards = store.folder / "shards"
    shard_path(store, "b").unlink()
    for name in ("b.parquet", "x.parquet", "y.parquet.partial"):
        (shards / name).mkdir()
    os.mkfifo(shards / "pipe.parquet")
    (shards / "a name.parquet").write_text("no shard has such a name")
    (shards / "z.parquet").write_text("no shard")
    with pytest.raises(DamageError, match=r"b\.parquet is no file"):
        FeatureStore.open(tmp_path, store.folder.name)
    found = verify(store.folder)
    assert [sentence.rsplit("/", 1)[1] for sentence in found.kept] == [
        f"{name} is no shard: move it away"
        for name in ("a name.parquet", "pipe.parquet", "x.parquet", "y.parquet.partial")
    ]
    (shards / "pipe.parquet").unlink()  # to write beside a pipe is refused
    found = verify(store.folder, repair=True)
    assert not found.whole
    assert any(sentence.endswith("/b.parquet is no shard: move it away") for sentence in found.kept)
    assert (store.folder / "set-aside" / "z.parquet").read_text() == "no shard"
    assert sorted(path.name for path in shards.iterdir()) == [
        "a name.parquet",
        "a.parquet",
        "b.parquet",
        "x.parquet",
        "y.parquet.partial",
    ]
    again = FeatureStore.open(tmp_path, store.folder.name)
    assert again.gather(some_keys(0, 10)).tolist() == some_features(0, 10).tolist()


LINKS = [
    "shards",
    "plans",
    "set-aside",
    "shards/x.parquet",
    "shards/x.parquet.partial",
    "plans/x.lock",
    "manifest.lock",
    "manifest.count",
    "manifest.count.partial",
    "refused.jsonl",
    "writer.lock",
    "writer.json",
    "create.lock",
]


@pytest.mark.parametrize("link", LINKS)
def test_a_store_with_a_link_is_neither_written_nor_repaired(tmp_path: Path, beside: Path, link: str) -> None:
    store = two_shards(tmp_path)
    path = store.folder / link
    if path.is_dir():
        path.rename(path.with_name("aside"))
        (path.with_name("aside") / "a.parquet").rename(path.with_name("a.parquet"))
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(beside if "/" not in link and "." not in link else beside / "victim.txt")
    for write in (lambda: verify(store.folder, repair=True), lambda: seal(store, "c", 20, 30)):
        with pytest.raises(UserError, match=r"is a link or no file, through which a store is not written"):
            write()


def test_a_manifest_that_is_a_link_is_not_appended_to(tmp_path: Path, beside: Path) -> None:
    store = two_shards(tmp_path)
    manifest = store.folder / "manifest.jsonl"
    manifest.rename(store.folder / "aside")
    manifest.symlink_to(beside / "victim.txt")
    with pytest.raises(UserError, match="is a link"):
        verify(store.folder, repair=True)


@pytest.mark.parametrize(
    "file", ["store.json", "manifest.jsonl", "manifest.count", "refused.jsonl", "shards/a.parquet"]
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, file: str) -> None:
    store = two_shards(tmp_path)
    (store.folder / file).unlink(missing_ok=True)
    os.mkfifo(store.folder / file)
    if file == "refused.jsonl":
        assert len(FeatureStore.open(tmp_path, store.folder.name)) == 20
    else:
        with pytest.raises(UserError, match=r"is gone|is no file|is damaged|there is no"):
            FeatureStore.open(tmp_path, store.folder.name)
    with pytest.raises(UserError, match=r"is a link or no file|there is no"):
        verify(store.folder, repair=True)


def test_a_journal_of_another_type_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(forged(b'{"a":1}') + b'{"a":1}\t00000000\n' + forged(b"[1]"))
    lines = checked_lines.read(path, dict)
    assert [line.value for line in lines] == [{"a": 1}, None, None]
    assert lines[1].problem == "is damaged"
    assert lines[2].problem.startswith("holds nothing that belongs there")
