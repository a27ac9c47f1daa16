"""Heads taken from another run, an exported folder or the published checkpoint: what comes, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cache import UserError
from cache.progress import silent
from pipelines.artefacts import HEADS, UNCERTAINTY
from pipelines.commands.export import export
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.train_gating import train_gating
from pipelines.run import Run
from tests.export.published_layout import published_checkpoint
from tests.pipelines.pairs_run import BACKBONE, extracted, rated_run, unrated_run, write_rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run "rated", its exported model, and a checkpoint in the published layout."""
    folder = tmp_path_factory.mktemp("taken")
    write_rows(folder)
    run = extracted(rated_run(folder))
    fit_heads(run, silent)
    train_gating(run, silent)
    export(run, folder / "exported", weights="link", check=False)
    published_checkpoint(folder / "published")
    extracted(unrated_run(folder, "own"))
    return folder


def taking(folder: Path, place: str | Path, **changes: str) -> Run:
    """The run "own", whose heads are in a place."""
    return unrated_run(folder, "own", f'from = "{place}"', **changes)


def taken(folder: Path, place: str | Path, **changes: str) -> Run:
    run = taking(folder, place, **changes)
    fit_heads(run, silent)
    return run


def test_a_runs_heads_come_with_names_scales_figures_and_uncertainty(whole: Path) -> None:
    theirs, own = rated_run(whole), taken(whole, whole / "runs" / "rated", verbosity="long")
    np.testing.assert_array_equal(own.arrays(HEADS)["weight"], theirs.arrays(HEADS)["weight"])
    mine, other = own.read(HEADS), theirs.read(HEADS)
    assert mine.origin == "folder"
    assert mine.scales == other.scales
    assert mine.scales["long"].rule == "linear"
    assert mine.uncertainty == other.uncertainty
    assert {name: head.pearson for name, head in mine.objectives.items()} == {
        name: head.pearson for name, head in other.objectives.items()
    }
    np.testing.assert_array_equal(own.arrays(UNCERTAINTY)["whitening"], theirs.arrays(UNCERTAINTY)["whitening"])


def test_an_exported_folders_heads_are_those_of_its_run(whole: Path) -> None:
    theirs, own = rated_run(whole), taken(whole, whole / "exported")
    np.testing.assert_array_equal(own.arrays(HEADS)["weight"], theirs.arrays(HEADS)["weight"])
    assert own.read(HEADS).scales == theirs.read(HEADS).scales
    assert own.read(HEADS).objectives["polite"].rows == theirs.read(HEADS).objectives["polite"].rows
    for name, array in theirs.arrays(UNCERTAINTY).items():
        np.testing.assert_allclose(own.arrays(UNCERTAINTY)[name], array, rtol=1e-6)


def test_uncertainty_of_an_earlier_version_is_named_with_its_remedy(whole: Path, tmp_path: Path) -> None:
    place = tmp_path / "rated"
    shutil.copytree(whole / "runs" / "rated", place)
    save_file({"factors": np.ones((1, 3), dtype=np.float32)}, place / "uncertainty.safetensors")
    with pytest.raises(UserError, match=r"written by an earlier version .*run `armorm fit-heads`"):
        taken(whole, place)


def test_uncertainty_stays_where_the_recipe_wants_none(whole: Path) -> None:
    own = unrated_run(whole, "own", f'from = "{whole}/runs/rated", uncertainty = false')
    fit_heads(own, silent)
    assert own.read(HEADS).uncertainty is None
    assert not own.path(UNCERTAINTY).exists()


def test_the_published_checkpoints_heads_go_with_its_own_backbone_alone(whole: Path) -> None:
    published = whole / "published"
    with pytest.raises(UserError, match=r"a checkpoint whose backbone was trained with its heads.*backbone.model"):
        fit_heads(taking(whole, published), silent)
    same = f'model = "{published}", dtype = "bfloat16", max_tokens = 256'
    run = unrated_run(whole, "published", f'from = "{published}"', "helpsteer-verbosity", same)
    fit_heads(extracted(run, limit=25), silent)
    assert len(run.read(HEADS).objectives) == 19
    assert run.read(HEADS).scales["helpsteer-coherence"].high == 4
    train_gating(run, silent)
    in_float = unrated_run(whole, "in_float", f'from = "{published}"', backbone=same.replace("bfloat16", "float32"))
    with pytest.raises(UserError, match=r"with another dtype \(bfloat16, here float32\)"):
        extracted(in_float)


@pytest.mark.parametrize("place", ["runs/rated", "exported"])
@pytest.mark.parametrize(
    ("change", "part"),
    [
        (", layers = [-2]", r"another layers \(-1, here -2\)"),
        (', position = "last_token"', r"another position \(end_of_turn, here last_token\)"),
        ('dtype = "bfloat16"', r"another dtype \(float32, here bfloat16\)"),
        (', chat_template = "TEMPLATE"', "another template: make"),
        ("model", r"another backbone \(folder:[0-9a-f]+, here folder:[0-9a-f]+\)"),
    ],
)
def test_heads_of_other_features_are_refused_before_the_pass_by_the_part_that_differs(
    whole: Path, tmp_path: Path, place: str, change: str, part: str
) -> None:
    backbone = BACKBONE + change if change.startswith(",") else BACKBONE.replace('dtype = "float32"', change)
    if change == "model":
        backbone = f'model = "{whole}/published", dtype = "float32", max_tokens = 256'
    template = tmp_path / "other.jinja"
    template.write_text((Path(__file__).parents[2] / "backbones/tiny/chat_template.jinja").read_text() + "{#- -#}")
    run = unrated_run(
        whole,
        f"other_{tmp_path.name}",
        f'from = "{whole / place}"',
        backbone=backbone.replace("TEMPLATE", str(template)),
    )
    with pytest.raises(UserError, match=rf"the heads in .*{place} were fitted on features with {part}"):
        extracted(run)
    assert not run.path("extract.json").exists()


def test_a_place_without_heads_is_named(whole: Path, tmp_path: Path) -> None:
    for place, sentence in (
        (tmp_path / "nothing", "there is no folder .*nothing: name a run"),
        (tmp_path, "has neither heads.json nor config.json"),
        ("org/model", "there is no folder org/model"),
    ):
        with pytest.raises(UserError, match=sentence):
            fit_heads(taking(whole, place), silent)


def test_verbosity_that_the_folder_does_not_have_is_refused_before_the_pass(whole: Path) -> None:
    with pytest.raises(UserError, match=r"'helpsteer-verbosity', which is no objective of .*or one of polite, long"):
        extracted(unrated_run(whole, "wordy", f'from = "{whole}/runs/rated"', "helpsteer-verbosity"))


def test_damaged_heads_are_named(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole / "runs" / "rated", tmp_path / "copy"))
    (copy / "heads.safetensors").write_bytes((copy / "heads.safetensors").read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match=r"heads.safetensors is not the one that heads.json describes: run `armorm fit"):
        fit_heads(taking(whole, copy), silent)
    (copy / "heads.safetensors").unlink()
    with pytest.raises(UserError, match=r"the heads in .*copy are missing or damaged \(.*No such file"):
        fit_heads(taking(whole, copy), silent)
    (copy / "heads.json").write_text("{}")
    with pytest.raises(UserError, match=r"heads.json is damaged or of another version \(origin: Field required\)"):
        fit_heads(taking(whole, copy), silent)


def test_heads_are_stale_when_those_they_were_taken_from_change_and_not_when_those_were_written_again(
    whole: Path, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(whole / "runs" / "rated", tmp_path / "copy"))
    taken(whole, place)
    values = json.loads((place / "heads.json").read_text())
    (place / "heads.json").write_text(json.dumps(values | {"seconds": 99.0}))
    assert taking(whole, place).problem(HEADS) is None
    values["scales"]["polite"]["high"] = 9.0
    (place / "heads.json").write_text(json.dumps(values))
    problem = taking(whole, place).problem(HEADS)
    assert problem is not None
    assert f"(the heads in {place} changed): run `armorm fit-heads` again" in problem
    shutil.rmtree(place)
    assert "heads.from: there is no folder" in str(taking(whole, place).problem(HEADS))


def test_other_weights_in_an_exported_folder_make_the_heads_stale(whole: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(whole / "exported", tmp_path / "copy", symlinks=True))
    taken(whole, place)
    tensors = load_file(place / "reward_heads.safetensors")
    tensors["regression_layer.weight"] = 2 * tensors["regression_layer.weight"]
    save_file(tensors, place / "reward_heads.safetensors", {"format": "pt"})
    assert "changed" in str(taking(whole, place).problem(HEADS))
