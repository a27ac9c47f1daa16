"""The statistics of a run: brought up to date, made anew where damaged, and never those of other rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from cache import UserError
from cache.progress import silent
from heads.ridge.files import FOLDER, INDEX, load_statistics
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import FRACTIONS, LEARNED, Scope
from heads.ridge.uncertainty import Uncertainty
from pipelines.artefacts import STATISTICS, UNCERTAINTY
from pipelines.commands.extract import extract
from pipelines.commands.fit_heads import fit_heads
from pipelines.fitted import linear_heads
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY

BOTH = Scope(("train", "validation"))

RECIPE = """
name = "own"
runs = "{folder}/{runs}"
debiasing = {{ verbosity = "none" }}
backbone = {{ model = "{tiny}", dtype = "float32", max_tokens = 512, layers = {layers} }}
store = {{ root = "{folder}/features" }}
split = {{ validation = 0.3 }}
objectives = [{{ name = "polite", low = 1, high = 7 }}, {{ name = "clear", low = 0, high = 10 }}]
heads = {{ {heads} }}
pairs = [{{ source = "derived", name = "pairs", ratings = "first", by = {{ clear = 1.0 }} }}]
ratings = [{ratings}]
"""


def write_rows(path: Path, seed: int, prompts: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        for _ in range(2):
            answer = " ".join(rng.choice(["yes", "no", "perhaps", "never", "soon"], rng.integers(1, 9)))
            row: dict[str, Any] = {"prompt": f"Question {seed} {prompt}?", "response": answer}
            row |= {"polite": int(rng.integers(1, 8))} | ({"clear": len(answer) % 11} if prompt % 3 else {})
            rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_run(folder: Path, sets: tuple[str, ...], runs: str = "runs", heads: str = "", layers: str = "[-1]") -> Run:
    ratings = ", ".join(
        f'{{ source = "multi_objective", name = "{name}", path = "{folder}/{name}.jsonl" }}' for name in sets
    )
    path = folder / "own.toml"
    path.write_text(RECIPE.format(folder=folder, tiny=TINY, runs=runs, heads=heads, ratings=ratings, layers=layers))
    run = Run(read_recipe(path))
    extract(run, progress=silent)
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "first.jsonl", seed=0, prompts=60)
    write_rows(tmp_path / "second.jsonl", seed=1, prompts=40)
    return tmp_path


def read_statistics(run: Run) -> GramStatistics:
    """The statistics of a run, which must be current."""
    run.require(STATISTICS)
    return load_statistics(run.folder).statistics


def same_sums(one: Run, other: Run) -> None:
    a, b = read_statistics(one), read_statistics(other)
    assert a.groups.keys() == b.groups.keys()
    for objective in range(2):
        for scope in (LEARNED, BOTH, Scope(fraction=0.5)):
            assert a.subset(objective, scope).xx().tobytes() == b.subset(objective, scope).xx().tobytes()
            assert a.subset(objective, scope).xy.tobytes() == b.subset(objective, scope).xy.tobytes()


def test_a_data_set_added_to_the_recipe_is_the_only_one_that_is_read(folder: Path) -> None:
    first = fit_heads(make_run(folder, ("first",)), silent)
    assert (first.rows_read, first.rows_reused) == (120, 0)
    both = make_run(folder, ("first", "second"))
    result = fit_heads(both, silent)
    assert (result.rows_read, result.rows_reused) == (80, 120)
    anew = make_run(folder, ("first", "second"), runs="others")
    scratch = fit_heads(anew, silent)
    assert (scratch.rows_read, scratch.rows_reused) == (200, 0)
    same_sums(both, anew)
    one, other = (load_file(run.folder / "heads.safetensors")["weight"] for run in (both, anew))
    np.testing.assert_array_equal(one, other)


def test_nothing_is_read_when_nothing_changed_and_a_data_set_taken_out_is_forgotten(folder: Path) -> None:
    both = make_run(folder, ("first", "second"))
    fit_heads(both, silent)
    assert fit_heads(both, silent).rows_read == 0
    alone = make_run(folder, ("first",))
    assert fit_heads(alone, silent).rows_read == 0
    assert {key.dataset for key in read_statistics(alone).groups} == {"first"}
    assert all(path.name.startswith("first-") for path in (alone.folder / FOLDER).iterdir())


def test_another_scale_makes_the_statistics_anew(folder: Path) -> None:
    run = make_run(folder, ("first",))
    fit_heads(run, silent)
    text = (folder / "own.toml").read_text()
    (folder / "own.toml").write_text(text.replace("high = 10", "high = 20"))
    changed = Run(read_recipe(folder / "own.toml"))
    extract(changed, progress=silent)
    with pytest.raises(
        UserError, match=r"statistics.json is out of date \(objectives changed\): run `armorm fit-heads`"
    ):
        read_statistics(changed)
    assert fit_heads(changed, silent).rows_read == 120


@pytest.mark.parametrize("damage", ["index", "group"])
def test_damaged_statistics_are_made_anew_and_the_damage_is_named(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(folder, ("first", "second"))
    fit_heads(run, silent)
    sound = read_statistics(run).subset(0).xx()
    if damage == "index":
        (run.folder / INDEX).write_text("{")
    else:
        path = sorted((run.folder / FOLDER).glob("second-train-*"))[0]
        path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    result = fit_heads(run, silent)
    assert 0 < result.rows_read <= 200
    assert (result.rows_reused > 0) == (damage == "group")
    assert ("statistics.json is damaged" if damage == "index" else "second-train-") in caplog.text
    assert read_statistics(run).subset(0).xx().tobytes() == sound.tobytes()


def test_statistics_are_read_without_the_feature_store(folder: Path) -> None:
    run = make_run(folder, ("first",))
    with pytest.raises(UserError, match=r"there is no .*statistics.json: run `armorm fit-heads` first"):
        read_statistics(run)
    fit_heads(run, silent)
    shutil.rmtree(run.recipe.store.root)
    assert read_statistics(run).subset(0, BOTH).n == 120


def test_fractions_are_of_prompts_and_hold_one_another(folder: Path) -> None:
    run = make_run(folder, ("first", "second"))
    fit_heads(run, silent)
    statistics = read_statistics(run)
    rows = [statistics.subset(0, Scope(fraction=fraction)).n for fraction in FRACTIONS]
    assert rows == sorted(rows)
    assert 0 < rows[0] < 0.3 * rows[-1]
    assert all(number % 2 == 0 for number in rows)  # both responses of a prompt, or none
    assert (
        statistics.subset(0, Scope(("validation",), fraction=FRACTIONS[0])).n
        == statistics.subset(0, Scope(("validation",))).n
    )


@pytest.mark.parametrize("heads", ["layer = 1", "layer = 1, joint_layers = false"])
def test_heads_of_one_layer_are_zero_on_the_others(folder: Path, heads: str) -> None:
    run = make_run(folder, ("first",), heads=heads, layers="[-1, -3]")
    fit_heads(run, silent)
    weight = linear_heads(run)[1]
    hidden = weight.shape[1] // 2
    assert (weight[:, :hidden] == 0).all()
    assert (weight[:, hidden:] != 0).all()
    alone = make_run(folder, ("first",), runs="alone", layers="[-3]")
    fit_heads(alone, silent)
    np.testing.assert_allclose(weight[:, hidden:], linear_heads(alone)[1], rtol=1e-4, atol=1e-7)


def test_the_uncertainty_belongs_to_its_heads(folder: Path) -> None:
    run = make_run(folder, ("first",))
    result = fit_heads(run, silent)
    uncertainty = Uncertainty.of_arrays(run.arrays(UNCERTAINTY))
    assert result.uncertainty is not None
    assert uncertainty.thresholds[0] == result.uncertainty.thresholds[0]
    assert np.isfinite(uncertainty.thresholds[0])  # few validation rows rate the second objective
    np.testing.assert_array_equal(np.diagonal(uncertainty.covariance), result.uncertainty.noise)
    other = make_run(folder, ("first",), heads="minimum_rows = 3")
    with pytest.raises(UserError, match=r"heads.json is out of date \(heads changed\): run `armorm fit-heads` again"):
        other.arrays(UNCERTAINTY)
    without = make_run(folder, ("first",), heads="uncertainty = false")
    assert fit_heads(without, silent).uncertainty is None
    assert not without.path(UNCERTAINTY).exists()


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ("layer = 1", r"heads.layer is 1, and backbone.layers names 1"),
        ("joint_layers = false", r"joint_layers = false needs layer"),
        ("dataset_weights = { nobody = 2.0 }", r"heads.dataset_weights names 'nobody'"),
        ("objective_weights = { nobody = 2.0 }", r"heads.objective_weights names 'nobody'"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(folder: Path, heads: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_run(folder, ("first",), heads=heads)


def test_constant_ratings_are_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [json.loads(line) | {"polite": 4} for line in (folder / "first.jsonl").read_text().splitlines()]
    (folder / "first.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = fit_heads(make_run(folder, ("first",)), silent)
    assert "polite: all its ratings are the same" in caplog.text
    assert result.objectives["polite"].constant is True
    assert result.objectives["clear"].constant is False
