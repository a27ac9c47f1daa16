"""`armorm score` takes the files and shapes that extraction takes, ends at no row, and is alone at its output."""

import bz2
import datetime
import gzip
import json
import lzma
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache import UserError
from cache.progress import silent
from export.earlier_scores import output_lease
from export.reward_model import RewardModel
from export.score_ends import ends
from export.score_file import score_file
from pipelines.cli import main
from tests.conftest import ROOT

ROWS = [{"id": number, "prompt": f"Name {number}.", "response": "Red."} for number in range(3)]


def run(model: RewardModel, source: Path, out: Path) -> Any:
    return score_file(model, source, out, prefix="", full=False, progress=silent)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.compress(data, "zstd", asbytes=True))


def table(kind: str) -> bytes:
    sink = pyarrow.BufferOutputStream()
    made = pyarrow.Table.from_pylist(ROWS)
    if kind == "parquet":
        pyarrow.parquet.write_table(made, sink)
    else:
        with pyarrow.ipc.new_file(sink, made.schema) as writer:
            writer.write_table(made)
    return bytes(sink.getvalue())


FILES = {
    "a.jsonl": lines(ROWS),
    "a.ndjson": lines(ROWS),
    "mark.jsonl": b"\xef\xbb\xbf" + lines(ROWS),
    "blank.jsonl": b"\n\n" + lines(ROWS[:1]) + b"  \n" + lines(ROWS[1:]),
    "array.json": json.dumps(ROWS, indent=1).encode(),
    "a.jsonl.gz": gzip.compress(lines(ROWS)),
    "a.json.xz": lzma.compress(json.dumps(ROWS).encode()),
    "a.jsonl.bz2": bz2.compress(lines(ROWS)),
    "a.jsonl.zst": zstd(lines(ROWS)),
    "a.csv": pl.DataFrame(ROWS).write_csv().encode(),
    "a.tsv.gz": gzip.compress(pl.DataFrame(ROWS).write_csv(separator="\t").encode()),
    "a.parquet": table("parquet"),
    "a.arrow": table("arrow"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_extraction_reads(model: RewardModel, tmp_path: Path, name: str) -> None:
    source, out = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(FILES[name])
    told = run(model, source, out)
    assert (told.rows, told.scored) == (3, 3)
    written = out.read_bytes()
    assert [(int(row["id"]), row["prompt"]) for row in read(out)] == [(row["id"], row["prompt"]) for row in ROWS]
    out.write_bytes(written[: written.index(b"\n") + 5])  # torn in the second line
    again = run(model, source, out)
    assert (again.rows, again.reused, again.scored) == (3, 1, 3)
    assert [row.keys() for row in read(out)] == [{*ROWS[0], "score"}] * 3


USER, SAID = {"role": "user", "content": "Name 0."}, {"role": "assistant", "content": "Red."}
SHAPES: list[dict[str, Any]] = [
    {"messages": None, "prompt": "Name 0.", "response": "Red."},
    {"prompt": "Name 0.", "response": "Red.", "responses": None},
    {"messages": [USER, SAID], "prompt": None, "response": None},
    {"conversations": [{"from": "human", "value": "Name 0."}, {"from": "gpt", "value": "Red."}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Name 0."}]}, SAID]},
    {"messages": [{**USER, "from": None, "value": None}, SAID]},
    {"prompt": [USER], "response": [SAID]},
    {"prompt": [{"from": "human", "value": "Name 0."}], "responses": ["Red."]},
    {"prompt": [USER], "response": [{"type": "text", "text": "Red."}]},
]


def test_the_shapes_of_rows_are_one_conversation(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines(SHAPES))
    assert run(model, source, out).bad == 0
    first, *others = read(out)
    for row in others:
        assert row.get("score", row.get("scores", [None])[0]) == pytest.approx(first["score"], rel=1e-5)


SCORED = b'{"prompt": "a", "response": "b"}'
FATAL = {
    b'{"prompt": "a", "response": "\\ud83d"}': "column 'response' holds half of a surrogate pair, which is not text",
    b'{"prompt": "a", "response": "b", "meta": {"deep": ["\\ud83d"]}}': "column 'meta' holds half of a surrogate pair",
    b'{"prompt": "a", "response": "b", "\\ud83d": 1}': "one of its keys holds half of a surrogate pair",
    b'{"prompt": "a", "response": "b", "x": 1e400}': "column 'x' is infinite, expected a number",
    b'{"prompt": "a", "response": "b", "x": [{"y": -1e400}]}': "column 'x' is infinite, expected a number",
    b'{"prompt": "a", "response": "b", "x": NaN}': "column 'x' is NaN, expected a number",
    b'{"prompt": "a", "response": "b", "x": "\xff"}': "column 'x' of line 8 is not UTF-8: byte 0xff",
    b'{"prompt": "a", "response": "b", "x": ' + b"[" * 800 + b"]" * 800 + b"}": "it is nested too deeply",
}


def test_no_row_ends_the_command(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\n".join([SCORED, *FATAL, SCORED, b""]))
    told = run(model, source, out)
    assert (told.rows, told.scored) == (len(FATAL) + 2, 2)
    first, *bad, last = read(out)
    assert "score" in first
    assert "score" in last
    for number, (row, words) in enumerate(zip(bad, FATAL.values(), strict=True), start=2):
        assert row.keys() == {"row", "error"}
        assert row["row"] == number
        assert words in row["error"]
    again = run(model, source, out)
    assert (again.reused, again.bad, again.bad_rows) == (told.rows, told.bad, told.bad_rows)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["prompt", "response", "responses", "messages", "error", "row", "score", "x"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=3))
def test_whatever_a_row_holds_there_is_a_line_for_it(
    model: RewardModel, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines([{"prompt": "a", "response": "b"}, *rows]))
    for old in tmp_path.glob("out*"):
        old.unlink()
    told = run(model, source, out)
    assert told.rows == len(read(out)) == len(rows) + 1
    again = run(model, source, out)
    assert (again.reused, again.scored, again.bad) == (told.rows, told.scored, told.bad)


def test_columns_without_a_form_in_json(model: RewardModel, tmp_path: Path) -> None:
    row = {"prompt": "a", "response": "b", "day": datetime.date(2026, 11, 27), "price": Decimal("1.10")}
    made = pyarrow.Table.from_pylist([row | {"raw": None}, row | {"raw": b"\0"}])
    pyarrow.parquet.write_table(made, tmp_path / "rows.parquet")
    out = tmp_path / "out.jsonl"
    assert run(model, tmp_path / "rows.parquet", out).scored == 1
    good, bad = read(out)
    assert (good["day"], good["price"]) == ("2026-11-27", "1.10")
    assert bad["error"] == "column 'raw' is bytes, which JSON cannot hold"
    assert run(model, tmp_path / "rows.parquet", out).reused == 2


def test_a_file_that_is_no_data_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    for name, content, sentence in (
        ("rows.txt", lines(ROWS), "of an unknown kind"),
        ("rows.jsonl", gzip.compress(b"{}"), "add .gz to its name"),
        ("rows.json", b"<html>", "is an HTML or XML page"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            ends(tmp_path / name, tmp_path / "out.jsonl")


def test_the_exit_code_is_1_where_no_row_has_a_score(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows, code in (("none", [{"prompt": "a", "response": " "}], 1), ("empty", [], 0), ("some", ROWS, 0)):
        (tmp_path / f"{name}.jsonl").write_bytes(lines(rows))
        ends_of = ["--input", str(tmp_path / f"{name}.jsonl"), "--output", str(tmp_path / f"{name}.out")]
        for _ in range(2):  # and when nothing is left to do
            monkeypatch.setattr(sys, "argv", ["armorm", "score", str(model_folder), "--device", "cpu", *ends_of])
            with pytest.raises(SystemExit) as ended:
                main()
            assert ended.value.code == code, name


HOLD = """
import sys
from pathlib import Path
from export.earlier_scores import output_lease
with output_lease(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_of_two_commands_is_told_of_the_first(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines(ROWS))
    (tmp_path / "link.jsonl").symlink_to(out)
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for name in ("out.jsonl", "link.jsonl"):
            with pytest.raises(UserError, match=rf"another process \({holder.pid} on .*\) is writing to .*{name}"):
                ends(source, tmp_path / name)
        assert not out.exists()
        holder.kill()
    assert run(model, source, out).scored == 3  # a dead process holds nothing


def test_two_threads_write_no_row_twice(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines(ROWS))
    refused: list[UserError] = []

    def attempt() -> None:
        try:
            run(model, source, out)
        except UserError as error:
            refused.append(error)

    with output_lease(out):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(timeout=30)
    assert "is writing to" in str(*refused)
    attempt()
    assert len(read(out)) == len(ROWS)


def test_a_damaged_output_is_named(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines(ROWS))
    run(model, source, out)
    out.write_bytes(b"[]\n" + out.read_bytes())
    with pytest.raises(UserError, match=r"is damaged \(line 1 is no JSON object\)"):
        run(model, source, out)
