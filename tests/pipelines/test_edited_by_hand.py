"""A JSON file of a run that was edited by hand: one sentence with the remedy, wherever it is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cache import UserError
from heads.ridge.files import load_statistics
from pipelines.artefacts import EXTRACT, GATING, HEADS, PAIRS, STATISTICS, Artefact, suite
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm

FILES: tuple[Artefact[Any], ...] = (EXTRACT, HEADS, GATING, suite("rewardbench"), STATISTICS)

Values = dict[str, Any]


def without(values: Values, *names: str) -> Values:
    return {name: value for name, value in values.items() if name not in names}


EDITS: dict[str, Callable[[Values], str]] = {
    "another value": lambda values: json.dumps(values | {next(iter(values)): 5}),
    "a new value": lambda values: json.dumps(values | {"note": "checked by hand"}),
    "a list": lambda values: json.dumps([values]),
    "depth": lambda _: '{"a":' * 100_000,
    "nothing": lambda _: "",
    "no text": lambda _: "\ud800",
    "a stamp that is none": lambda values: json.dumps(without(values, "checksum") | {"stamp": 5}),
    "digests that are none": lambda values: json.dumps(without(values, "checksum") | {"stamp": {"a": []}}),
    "other types": lambda values: json.dumps(dict.fromkeys(without(values, "checksum", "stamp"), 1) | {"stamp": {}}),
}
"""The later ones take the checksum out too, as no hand would but a program might."""


@pytest.fixture
def copy(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's JSON files, its other files linked; the recipe."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    for path in demo.run.iterdir():
        target = tmp_path / "runs" / "demo" / path.name
        shutil.copy(path, target) if path.suffix == ".json" else target.symlink_to(path)
    for name in ("demo.toml", "features"):
        (tmp_path / name).symlink_to(demo.folder / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "demo.toml"


@pytest.mark.parametrize("artefact", FILES, ids=lambda artefact: artefact.file)
def test_an_edited_file_is_one_sentence_with_the_remedy(copy: Path, artefact: Artefact[Any]) -> None:
    path = Run(read_recipe(copy)).path(artefact)
    whole = json.loads(path.read_text())
    for edit, change in EDITS.items():
        path.write_bytes(change(whole).encode(errors="surrogatepass"))
        run = Run(read_recipe(copy))
        problem = run.problem(artefact) or ""
        assert str(path) in problem, edit
        assert f"`armorm {artefact.command}`" in problem
        assert problem.isprintable()
        for other in FILES:
            Run(read_recipe(copy)).problem(other)


@pytest.mark.parametrize("change", [*EDITS.values(), lambda values: json.dumps(without(values, "checksum", "layers"))])
def test_edited_statistics_are_not_loaded(copy: Path, change: Callable[[Values], str]) -> None:
    path = Run(read_recipe(copy)).path(STATISTICS)
    path.write_bytes(change(json.loads(path.read_text())).encode(errors="surrogatepass"))
    with pytest.raises(UserError, match="run `armorm fit-heads` again"):
        load_statistics(path.parent)


@pytest.mark.parametrize(
    "changed",
    [{"fingerprint": "../../elsewhere"}, {"fingerprint": 5}, {"revisions": ["a"]}, {"packing_failed": {}}],
)
def test_what_the_next_extraction_takes_from_the_last_is_looked_at(copy: Path, changed: Values) -> None:
    path = Run(read_recipe(copy)).path(EXTRACT)
    path.write_text(json.dumps(without(json.loads(path.read_text()), "checksum") | changed))
    with pytest.raises(UserError, match=r"extract\.json is damaged \(.*\): remove it, and run `armorm extract` again"):
        Run(read_recipe(copy)).earlier_extract()


def test_tables_without_stamps_are_made_anew(copy: Path) -> None:
    path = Run(read_recipe(copy)).path(EXTRACT)
    path.write_text(json.dumps(without(json.loads(path.read_text()), "checksum") | {"table_stamps": []}))
    assert "run `armorm extract` again" in (Run(read_recipe(copy)).problem(PAIRS) or "")


def test_a_file_that_was_only_written_in_another_way_is_as_it_was(copy: Path) -> None:
    for artefact in FILES:
        path = Run(read_recipe(copy)).path(artefact)
        path.write_text(json.dumps(json.loads(path.read_text()), indent=7, sort_keys=True))
    assert [Run(read_recipe(copy)).problem(artefact) for artefact in FILES] == [None] * len(FILES)
    load_statistics(path.parent)


def test_a_file_of_version_0_2_has_no_checksum_and_is_taken(copy: Path) -> None:
    for artefact in FILES:
        path = Run(read_recipe(copy)).path(artefact)
        path.write_text(json.dumps(without(json.loads(path.read_text()), "checksum")))
    assert [Run(read_recipe(copy)).problem(artefact) for artefact in FILES] == [None] * len(FILES)


def test_the_command_line_ends_with_the_sentence(copy: Path) -> None:
    path = Run(read_recipe(copy)).path(HEADS)
    path.write_text(path.read_text().replace("0", "1", 1))
    done = armorm("train-gating", "--recipe", "demo.toml", folder=copy.parent)
    assert done.returncode == 2
    assert done.stderr.strip().startswith("error: ")
    assert "heads.json is damaged (it was changed since it was written): run `armorm fit-heads` again" in done.stderr
