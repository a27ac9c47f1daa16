"""The tables of the documents are what the JSON of the runs gives."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.documents import Part, documents, parts_of
from benchmarks.runs_kept import RUNS, folder_name, runs_of
from benchmarks.tables import TABLES, function, made, rewritten, run
from cache import UserError
from tests.pipelines.conftest import ROOT

TABLE = "# Times\n\n<!-- table: demo -->\n<!-- end of table -->\n\nAfter it.\n"
CONDITIONS = {
    "date": "2026-12-01",
    "command": "OMP_NUM_THREADS=1 python -m benchmarks.demo --json demo.json",
    "commit": "abc1234",
    "machine": "Linux x86_64, AMD EPYC 9B14 with AVX512-BF16",
    "cpu": {"model": "AMD EPYC 9B14", "units": ["AVX512-BF16"]},
    "gpu": None,
    "cores": 2,
    "versions": {"armorm": "0.2.0", "Python": "3.11.7", "torch": "2.13.0", "duckdb": "1.4.0"},
    "others": 0.02,
    "busy": False,
}
FIGURES: dict[str, Any] = {"scale": 1.0, "steps": {"extract": 40.25}, "seconds": 40.25}


def keep(runs: Path, report: dict[str, Any], folder: str = "2026-12-01-epyc-9b14-2", name: str = "demo") -> Path:
    """Write a run's file."""
    path = runs / folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report))
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with one document and one run, up to date."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Read me\n")
    (tmp_path / "docs" / "times.md").write_text(TABLE)
    keep(tmp_path / "runs", {"conditions": CONDITIONS, **FIGURES})
    assert run(False, tmp_path, tmp_path / "runs") == 0
    return tmp_path


IN_DOCUMENTS = [(path, part) for path in documents() for part in parts_of(path.read_text(), path, TABLES)]


@pytest.mark.parametrize(("path", "part"), IN_DOCUMENTS, ids=[part.name for _, part in IN_DOCUMENTS])
def test_a_table_of_the_documents_is_up_to_date(path: Path, part: Part) -> None:
    if function(TABLES[part.name].module) is None:
        pytest.skip(f"{TABLES[part.name].module} has no table(report) yet")
    assert path.read_text()[part.begin : part.end] == made(part.name), "run `python -m benchmarks.tables`"


def test_every_kept_run_has_a_table_in_a_document() -> None:
    shown = {part.name for _, part in IN_DOCUMENTS}
    kept = {path.stem for path in RUNS.glob("*/*.json")}
    assert kept <= {TABLES[name].json for name in shown}
    assert shown == set(TABLES)


def test_a_table_tells_its_conditions_and_its_command(tree: Path) -> None:
    text = (tree / "docs" / "times.md").read_text()
    assert text.startswith("# Times\n\n<!-- table: demo -->\n2026-12-01, AMD EPYC 9B14 (AVX512-BF16), 2 cores, Python ")
    assert "Python 3.11.7, torch 2.13.0, commit abc1234; other work: 2% of the cores' time.\n" in text
    assert "\n    OMP_NUM_THREADS=1 python -m benchmarks.demo --json demo.json\n" in text
    assert "\n| extract | 40.2 |\n" in text
    assert text.endswith("<!-- end of table -->\n\nAfter it.\n")
    assert "beside other work" not in text


def test_a_changed_figure_makes_the_table_stale(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tree / "runs"
    assert run(True, tree, runs) == 0
    keep(runs, {"conditions": CONDITIONS, **FIGURES, "seconds": 41.0})
    before = (tree / "docs" / "times.md").read_text()
    assert run(True, tree, runs) == 1
    assert (
        "times.md: table demo is not what its JSON gives: run `python -m benchmarks.tables`" in capsys.readouterr().out
    )
    assert (tree / "docs" / "times.md").read_text() == before
    assert run(False, tree, runs) == 0
    assert "| all | 41.0 |" in (tree / "docs" / "times.md").read_text()
    assert run(True, tree, runs) == 0


def test_a_run_beside_other_work_is_marked(tmp_path: Path) -> None:
    keep(tmp_path, {"conditions": CONDITIONS | {"others": 0.4, "busy": True}, **FIGURES})
    assert "; **measured beside other work** (40% of the cores' time)." in made("demo", tmp_path)


def test_small_sizes_are_marked(tmp_path: Path) -> None:
    keep(tmp_path, {"conditions": CONDITIONS | {"command": "python -m benchmarks.demo --quick"}, **FIGURES})
    assert made("demo", tmp_path).startswith("**Small sizes (`--quick`).** 2026-12-01")


def test_an_older_file_says_that_other_work_was_not_recorded(tmp_path: Path) -> None:
    keep(tmp_path, {"machine": "x86_64, 2 cores", **FIGURES}, "2026-11-21-x86-64-2")
    text = made("demo", tmp_path)
    assert text.startswith("2026-11-21, x86_64, 2 cores; other work: not recorded.\n")
    assert "--json demo.json    # the options of this run were not recorded\n" in text


def test_the_newest_run_counts(tmp_path: Path) -> None:
    keep(tmp_path, {"machine": "x86_64, 2 cores", **FIGURES, "seconds": 99.0}, "2026-11-21-x86-64-2")
    keep(tmp_path, {"conditions": CONDITIONS, **FIGURES})
    assert "| all | 40.2 |" in made("demo", tmp_path)
    assert "99.0" not in made("demo", tmp_path)


def test_ratios_of_several_machines_stand_side_by_side(tmp_path: Path) -> None:
    shutil.copytree(RUNS / "2026-11-27-h100", tmp_path / "2026-11-27-h100")
    faster = json.loads((tmp_path / "2026-11-27-h100" / "gpu.json").read_text())
    faster["conditions"] |= {"date": "2026-12-02", "machine": "NVIDIA H200", "busy": True}
    for line in faster["lines"]:
        if line.get("way") == "end to end":
            line["seconds"] /= 2
    text = made("gpu", tmp_path)
    assert "By machine" not in text
    keep(tmp_path, faster, "2026-12-02-h200", "gpu")
    text = made("gpu", tmp_path)
    heads = "| ratio | 2026-12-02, NVIDIA H200, **beside other work** | 2026-11-27, NVIDIA H100 80GB HBM3,"
    heads += " other work not recorded |"
    assert f"By machine, newest first:\n\n{heads}\n|---|---|---|\n" in text
    assert "\n| extract, end to end : one at a time | 14.6 | 7.32 |\n" in text


def test_a_table_without_a_run_names_the_command(tmp_path: Path) -> None:
    assert made("demo", tmp_path) == "Not measured yet:\n\n    make bench BENCH=demo\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- table: demoo -->\n<!-- end of table -->\n", "line 1: no table is named demoo: take one of ablate, "),
        ("<!-- table: demo -->\nrows\n", "table demo has no end: write <!-- end of table --> after it"),
        ("rows\n<!-- end of table -->\n", "line 2: no table begins before this end: "),
        ("<!-- table: demo -->\n<!-- table: store -->\n", "line 2: table demo has not ended yet: "),
    ],
)
def test_a_document_with_a_wrong_marker_is_refused(tree: Path, text: str, sentence: str) -> None:
    (tree / "docs" / "times.md").write_text(text)
    with pytest.raises(UserError) as told:
        run(False, tree, tree / "runs")
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert (tree / "docs" / "times.md").read_text() == text


def test_a_file_of_another_form_is_named_and_its_table_left_alone(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tree / "runs", {"conditions": CONDITIONS, "seconds": 3.0})
    before = (tree / "docs" / "times.md").read_text()
    assert run(False, tree, tree / "runs") == 1
    assert "demo.json: benchmarks.demo cannot read it (KeyError: 'steps'): measure again, or" in capsys.readouterr().err
    assert (tree / "docs" / "times.md").read_text() == before


def test_a_file_from_before_conditions_of_another_form_is_told(tmp_path: Path) -> None:
    keep(tmp_path, {"machine": "x86_64, 2 cores", "minutes": 2}, "2026-11-21-x86-64-2")
    text = made("demo", tmp_path)
    assert text.startswith("Not measured yet:\n\n    make bench BENCH=demo\n\nRuns that were ")
    assert text.endswith("kept in an earlier form, of which no table is made: 2026-11-21, x86_64, 2 cores.\n")
    keep(tmp_path, {"conditions": CONDITIONS, **FIGURES})
    assert "Not measured yet" not in made("demo", tmp_path)


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    keep(tmp_path, {}).write_text("{}\n{}\n")
    with pytest.raises(UserError, match=r"demo\.json is not JSON \(.*\): measure again, or remove the file"):
        runs_of("demo", tmp_path)


def test_a_table_before_one_that_cannot_be_made_is_written(tmp_path: Path) -> None:
    keep(tmp_path, {"conditions": CONDITIONS, **FIGURES})
    keep(tmp_path, {"conditions": CONDITIONS}, name="gpu")
    text, changed, unmade = rewritten(TABLE + TABLE.replace("demo", "gpu"), tmp_path / "times.md", tmp_path)
    assert changed == ["demo"]
    assert len(unmade) == 1
    assert text.startswith(TABLE[:30])
    assert "| all | 40.2 |" in text
    assert text.endswith(TABLE.replace("demo", "gpu"))


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("AMD EPYC", "2026-12-01-epyc-2"),
        ("AMD EPYC 9B14 64-Core Processor", "2026-12-01-epyc-9b14-2"),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "2026-12-01-xeon-platinum-8481c-2"),
        ("unknown processor", "2026-12-01-unknown-2"),
    ],
)
def test_a_machines_folder_is_named_by_its_processor(model: str, folder: str) -> None:
    assert folder_name(CONDITIONS | {"cpu": {"model": model, "units": []}}) == folder


def test_a_gpus_folder_is_named_by_the_gpu() -> None:
    assert folder_name(CONDITIONS | {"gpu": "NVIDIA H100 80GB HBM3"}) == "2026-12-01-h100"


def test_no_run_lies_beside_the_folders_of_machines() -> None:
    assert list((ROOT / "benchmarks").glob("*.json")) == []
