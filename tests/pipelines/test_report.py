"""`armorm report`: what lies in a run's folder, on one page."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from markupsafe import escape
from pipelines.report import read, report

from cache import UserError
from evaluation.figures import available
from evaluation.report.page import render
from pipelines.recipe import Recipe, read_recipe
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def folder(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's run and recipe, without its features; the folder that tests run in."""
    shutil.copytree(demo.run, tmp_path / "runs" / "demo")
    shutil.copy(demo.folder / "demo.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recipe(folder: Path) -> Recipe:
    """The demo's."""
    return read_recipe(folder / "demo.toml")


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
    assert "There is no runs/demo/ablations.json: run `armorm ablate`." in page
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


def test_what_is_of_other_settings_is_left_out_and_named(recipe: Recipe) -> None:
    other = recipe.model_copy(update={"gate": recipe.gate.model_copy(update={"steps": 7})})
    result = report(other, plots=False)
    assert "gating.json is of other rows or settings" in result.missing["gating"]
    page = Path(result.page).read_text()
    assert "armorm train-gating` again" in page
    assert "there is no gate yet" in page
    assert 'class="example' not in page
    assert "Validation MSE by penalty" in page


def test_a_suite_judged_with_other_settings_is_left_out_and_named(folder: Path, recipe: Recipe) -> None:
    assert "suites" not in report(recipe, plots=False).missing
    path = folder / "runs" / "demo" / "rewardbench.json"
    stale = json.loads(path.read_text()) | {"recipe": "0" * 16}
    path.write_text(json.dumps(stale))
    result = report(recipe, plots=False)
    assert "run `armorm eval --suite rewardbench` again" in result.missing["suites"]
    assert "What counts where" in Path(result.page).read_text()


def test_a_damaged_file_is_named_in_one_sentence(folder: Path, recipe: Recipe) -> None:
    path = folder / "runs" / "demo" / "gating.json"
    whole = json.loads(path.read_text())
    path.write_text(path.read_text()[:100])
    done = armorm("report", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 2
    assert "gating.json is damaged" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    del whole["gate_by_dataset"]
    path.write_text(json.dumps(whole))
    with pytest.raises(
        UserError, match=r"gating\.json is of another version \(gate_by_dataset: .*run `armorm train-gating` again"
    ):
        report(recipe, plots=False)
    assert not (folder / "runs" / "demo" / "report.html").exists()


def test_without_a_run_the_command_to_begin_with_is_named(recipe: Recipe) -> None:
    (recipe.folder / "extract.json").unlink()
    with pytest.raises(UserError, match="run `armorm extract` first"):
        report(recipe)


def test_the_same_run_gives_the_same_page(recipe: Recipe) -> None:
    assert render(read(recipe, plots=available())) == render(read(recipe, plots=available()))


def test_without_matplotlib_the_page_lacks_figures_alone(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.report.available", lambda: False)
    result = report(recipe)
    assert result.plots == ()
    page = Path(result.page).read_text()
    assert "<figure>" not in page
    assert "The figures behind it" in page
