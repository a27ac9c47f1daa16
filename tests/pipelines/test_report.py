"""`armorm report`: what lies in a run's folder, on one page."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from markupsafe import escape

from cache import UserError
from evaluation.figures import available
from evaluation.report.page import render
from pipelines.artefacts import EXTRACT
from pipelines.commands.report import gather, report
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def folder(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's run and recipe, without its features; the folder that tests run in."""
    shutil.copytree(demo.run, tmp_path / "runs" / "demo")
    shutil.copy(demo.folder / "demo.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """The demo's."""
    return Run(read_recipe(folder / "demo.toml"))


def test_the_command_writes_the_page_and_the_figures_and_says_where(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, the extra `plots`, is not installed")
    done = armorm("report", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "runs/demo/report.html" in done.stdout
    assert "run `armorm ablate`" in done.stdout
    page = (folder / "runs" / "demo" / "report.html").read_text()
    rewardbench = json.loads((folder / "runs" / "demo" / "rewardbench.json").read_text())
    assert f"{100 * rewardbench['rules']['gate']['score']:.1f}" in page
    assert "self-made" in page
    assert "There is no runs/demo/ablations.json: run `armorm ablate` first." in page
    for name in rewardbench["gate_by_section"]["Chat"]:
        assert name in page
    files = {path.name for path in (folder / "runs" / "demo" / "plots").iterdir()}
    assert files == {
        f"{name}.{kind}"
        for name in ("validation", "debiasing", "gate-training", "rules", "coefficients")
        for kind in ("svg", "png")
    }


def test_every_file_of_a_whole_run_is_on_the_page(folder: Path, demo: Demo) -> None:
    (folder / "features").symlink_to(demo.folder / "features")
    for command in (["ablate", "--no-plots"], ["analyse"]):
        done = armorm(*command, "--recipe", "demo.toml", folder=folder)
        assert done.returncode == 0, done.stderr
    done = armorm("report", "--recipe", "demo.toml", "--no-plots", "--json", folder=folder)
    result = json.loads(done.stdout)
    assert result["missing"] == {}
    assert result["plots"] == []
    page = Path(folder / result["page"]).read_text()
    assert len(page.encode()) == result["bytes"]
    assert "1/8 of them" in page
    assert "Held-out ratings by data set" in page
    assert "Is any rule better than gated objectives?" in page
    assert page.count('class="example right"') == 5
    assert page.count('class="passage"') >= 3 * 5
    texts = pl.read_parquet(folder / "runs" / "demo" / "tables" / "suite_texts.parquet")
    shown = [prompt[-1]["content"] for prompt in texts["prompt"] if escape(prompt[-1]["content"]) in page]
    assert len(shown) >= 5


def test_what_is_of_other_settings_is_left_out_and_named(run: Run) -> None:
    gate = run.recipe.gate.model_copy(update={"steps": 7})
    result = report(Run(run.recipe.model_copy(update={"gate": gate})), plots=False)
    assert "gating.json is out of date (gate changed)" in result.missing["gating"]
    page = Path(result.page).read_text()
    assert "armorm train-gating` again" in page
    assert "there is no gate yet" in page
    assert 'class="example' not in page
    assert "Validation MSE by penalty" in page


def test_a_suite_judged_with_other_settings_is_left_out_and_named(folder: Path, run: Run) -> None:
    assert "suites" not in report(run, plots=False).missing
    path = folder / "runs" / "demo" / "rewardbench.json"
    values = json.loads(path.read_text())
    del values["checksum"]
    path.write_text(json.dumps(values | {"stamp": values["stamp"] | {"gating.json": "0" * 32}}))
    result = report(Run(run.recipe), plots=False)
    assert "run `armorm eval --suite rewardbench` again" in result.missing["suites"]
    assert "What counts where" in Path(result.page).read_text()


@pytest.mark.parametrize("damage", ["cut", "key"])
def test_a_damaged_file_is_skipped_and_named_with_its_command(folder: Path, run: Run, damage: str) -> None:
    path = folder / "runs" / "demo" / "gating.json"
    whole = json.loads(path.read_text())
    del whole["gate_by_dataset"], whole["checksum"]
    path.write_text(path.read_text()[:100] if damage == "cut" else json.dumps(whole))
    result = report(run, plots=False)
    reason = r" \(" if damage == "cut" else r" or of another version \(gate_by_dataset: "
    assert re.search(rf"gating\.json is damaged{reason}.*: run `armorm train-gating` again", result.missing["gating"])
    assert escape(result.missing["gating"]) in Path(result.page).read_text()


def test_without_a_run_the_command_to_begin_with_is_named(run: Run) -> None:
    run.path(EXTRACT).unlink()
    with pytest.raises(UserError, match="run `armorm extract` first"):
        report(run)


def test_the_same_run_gives_the_same_page(run: Run) -> None:
    one, other = (render(gather(Run(run.recipe), plots=available())) for _ in range(2))
    assert one == other


def test_without_matplotlib_the_page_lacks_figures_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.figures.available", lambda: False)
    result = report(run)
    assert result.plots == ()
    page = Path(result.page).read_text()
    assert "<figure>" not in page
    assert "The figures behind it" in page
