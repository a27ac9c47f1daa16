"""Whatever a store's files hold: a sentence or right values, nothing outside the store touched, and no hang."""

import json
import shutil
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache import FeatureStore, UserError, plan_file
from cache.fingerprint import digest_of
from cache.verify import verify
from tests.cache.rows import new_store, seal, some_features, some_keys

SECONDS = 60
"""Most time that one example may take, on a busy machine."""

TEMPLATE = TemporaryDirectory(prefix="armorm-fuzz-")


def template() -> Path:
    """A folder with a store of two shards, and beside it files that nobody may touch."""
    folder = Path(TEMPLATE.name) / "template"
    if not folder.exists():
        beside = Path(TEMPLATE.name) / "template-beside"
        beside.mkdir()
        (beside / "victim.parquet").write_text("somebody's work")
        store = new_store(folder)
        seal(store, "a", 0, 4)
        seal(store, "b", 4, 8)
        store.skip({some_keys(9, 10)[0].tobytes(): "not finite"})
        plan_file.write(store.folder / plan_file.FOLDER / "p.parquet", [])
        beside.rename(folder / "beside")
    return folder


@contextmanager
def in_time() -> Iterator[None]:
    def late(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"an example took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def journey(change: Callable[[Path], None], *, mended: bool) -> None:
    """Change a copy of the store, then open, look, repair and write: each is refused by a sentence or right.

    Args:
        change: changes the store in this folder.
        mended: whether a repair mends whatever it was.
    """
    source = template()
    with TemporaryDirectory(prefix="armorm-fuzz-") as name, in_time():
        root = Path(name) / "stores"
        shutil.copytree(source, root)
        (folder,) = (path for path in root.iterdir() if path.name != "beside")
        change(folder)
        sentences = [said for step in (read, verify, repaired) if (said := sentence(step, folder))]
        if mended:
            repaired(folder)
            write(folder)
            assert verify(folder).whole
        else:
            sentences += [said for step in (read, write) if (said := sentence(step, folder))]
        assert all(map(str.isprintable, sentences))
        assert [(path.name, path.read_text()) for path in (root / "beside").iterdir()] == [
            ("victim.parquet", "somebody's work")
        ]
        assert {path.name for path in root.iterdir()} == {folder.name, "beside"}
        assert {path.name for path in Path(name).iterdir()} == {"stores"}


def sentence(step: Callable[[Path], object], folder: Path) -> str:
    """The sentence that a step is refused with; empty if it is not."""
    try:
        step(folder)
    except UserError as error:
        return str(error)
    return ""


def repaired(folder: Path) -> None:
    assert verify(folder, repair=True).whole


def read(folder: Path) -> None:
    store = FeatureStore.open(folder.parent, folder.name)
    there = ~store.missing(some_keys(0, 8))
    assert store.gather(some_keys(0, 8)[there]).tolist() == some_features(0, 8)[there].tolist()


def write(folder: Path) -> None:
    store = FeatureStore.open(folder.parent, folder.name)
    seal(store, "c", 20, 24)
    assert store.gather(some_keys(20, 24)).tolist() == some_features(20, 24).tolist()


NAMES = st.sampled_from(
    ["a.parquet", "c.h5", "../beside/victim.parquet", "../../beside/victim.parquet", "/etc/passwd", "\0", "a" * 5000]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def changed(whole: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """An object of a file with some values changed, others gone and others new; or any value; or any bytes."""
    some = st.dictionaries(st.sampled_from(list(whole)) | st.text(max_size=4), VALUES, max_size=3)
    gone = st.sets(st.sampled_from(list(whole)), max_size=1)
    objects = st.builds(lambda new, old: {k: v for k, v in (whole | new).items() if k not in old}, some, gone)
    deep = st.sampled_from([b"[" * 50_000, b'{"a":' * 50_000])
    return (objects | VALUES).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40) | deep


def lines(whole: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Lines of a journal, mostly with the right checksum."""
    right = changed(whole).map(lambda body: body + f"\t{zlib.crc32(body):08x}\n".encode())
    return st.lists(right | st.binary(max_size=20), min_size=1, max_size=3).map(b"".join)


ENTRY = {
    "shard": "c.parquet",
    "store": new_store(Path(TEMPLATE.name) / "name").folder.name,
    "rows": 4,
    "bytes": 9,
    "sha256": "0" * 64,
    "index": "0" * 64,
}
JOURNALS = {
    "manifest.jsonl": ENTRY,
    "refused.jsonl": {"key": "0" * 32, "reason": "r"},
    "manifest.count": {"lines": 1, "sha256": "0" * 64},
}


def fuzz_journals(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(list(JOURNALS)))
    content, added = data.draw(lines(JOURNALS[file])), data.draw(st.booleans())

    def change(folder: Path) -> None:
        path = folder / file
        path.write_bytes((path.read_bytes() if added else b"") + content)

    journey(change, mended=True)


def fuzz_descriptions(data: st.DataObject) -> None:
    with_checksum = data.draw(st.booleans())

    def change(folder: Path) -> None:
        path = folder / "store.json"
        body = json.loads(path.read_bytes())
        body.pop("checksum")
        parts = body["fingerprint"]
        body["fingerprint"] = data.draw(
            st.just(parts)
            | st.builds(lambda new: parts | new, st.dictionaries(st.sampled_from(list(parts)), VALUES, max_size=2))
        )
        content = data.draw(changed(body))
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        if with_checksum and isinstance(value, dict):
            content = json.dumps(value | {"checksum": digest_of(value)}).encode()
        path.write_bytes(content)

    journey(change, mended=False)


COLUMN = st.sampled_from(
    [
        *(pa.array(["x", "../y"]), pa.array(["x", None]), pa.array([b"0" * 16, None]), pa.array([b"0", b"1"])),
        *(pa.array([1, 2], pa.int32()), pa.array([True, None]), pa.array([[1], [2]]), pa.nulls(2)),
    ]
)


def fuzz_plans(data: st.DataObject) -> None:
    columns = {name: data.draw(COLUMN) for name in plan_file.SCHEMA.names}
    cast = data.draw(st.booleans())
    bytes_of_it = data.draw(st.none() | st.binary(max_size=40))

    def change(folder: Path) -> None:
        path = folder / plan_file.FOLDER / "p.parquet"
        if bytes_of_it is not None:
            path.write_bytes(bytes_of_it)
            return
        table = pa.table(columns)
        if cast:
            fitting = [
                pa.nulls(2, kind) if table[name].type != kind else table[name]
                for name, kind in zip(plan_file.SCHEMA.names, plan_file.SCHEMA.types, strict=True)
            ]
            table = pa.table(fitting, schema=plan_file.SCHEMA)
        pq.write_table(table, path)
        assert sentence(read_all, path) == "" or "remove it" in sentence(read_all, path)

    journey(change, mended=True)


def read_all(path: Path) -> list[plan_file.PlanLine]:
    """The lines of a plan, all of them read."""
    return list(plan_file.read(path))


FUZZED = {"journals": fuzz_journals, "descriptions": fuzz_descriptions, "plans": fuzz_plans}
CALM = [HealthCheck.too_slow, HealthCheck.data_too_large]


def tried(kind: str, examples: int) -> int:
    """Number of changes that were tried, each with the assertions of `journey`."""
    number = 0

    def one(data: st.DataObject) -> None:
        nonlocal number
        FUZZED[kind](data)
        number += 1

    settings(max_examples=examples, suppress_health_check=CALM)(given(st.data())(one))()
    return number


@pytest.mark.parametrize("kind", FUZZED)
def test_what_a_store_holds_is_right_or_refused(kind: str) -> None:
    assert tried(kind, 25) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUZZED)
def test_what_a_store_holds_is_right_or_refused_for_long(kind: str) -> None:
    assert tried(kind, 6000) >= 1000
