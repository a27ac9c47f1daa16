"""Heads beside the ridge: chosen in the recipe, fitted with the gate, stored, and judged beside the rules."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from scipy.special import expit

from cache import UserError
from cache.keys import key_column
from cache.progress import silent
from heads.distributions import Distributions
from heads.kinds.ordinal import level_probabilities
from heads.validation_halves import in_calibration_half
from pipelines.artefacts import EXAMPLES, HEADS, INTERVALS, OTHER_HEADS, PAIRS
from pipelines.commands.extract import extract
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.fit_other_heads import fit_other_heads, show
from pipelines.fitted import pairwise_heads
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm
from tests.pipelines.test_own_recipe import run_of, text

__all__ = ["text"]  # the fixture

OTHERS = """
[other_heads]
fit = ["slic", "mlp", "ordinal"]
layers = [2]
mlp = { hidden_size = 8, steps = 40, batch_pairs = 16, learning_rate = 1e-2 }
ordinal = { alphas = [1.0, 10.0] }
"""


def two_layers(text: str) -> str:
    return text.replace("max_tokens = 512", "max_tokens = 512, layers = [-1, 2]")


@pytest.fixture
def run(text: str, tmp_path: Path) -> Run:
    """Two stored layers; everything up to the heads is done."""
    made = run_of(two_layers(text) + OTHERS, tmp_path)
    extract(made, progress=silent)
    fit_heads(made, silent)
    return made


def features_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    keys = key_column(run.table(EXAMPLES)["response_key"])
    return keys, run.store.gather(keys).reshape(len(keys), -1)


def test_what_is_stored_is_what_is_reported_and_scored(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    result = fit_other_heads(run, silent)
    assert run.read(OTHER_HEADS) == result
    assert result.layers == (2,)
    arrays = load_file(run.folder / "other_heads.safetensors")
    keys, features = features_of(run)
    hidden = features.shape[1] // 2
    for name in ("slic.weight", "mlp.hidden_weight", "ordinal.clear.weight"):
        assert not arrays[name][..., :hidden].any()  # layer -1 comes first, and is not read
        assert arrays[name][..., hidden:].any()
    scores = pairwise_heads(run).scores(run.store, keys)
    np.testing.assert_allclose(scores["slic"], features @ arrays["slic.weight"], rtol=1e-4, atol=1e-5)
    inside = features @ arrays["mlp.hidden_weight"].T + arrays["mlp.hidden_bias"]
    expected = (inside * expit(inside)) @ arrays["mlp.output_weight"]
    np.testing.assert_allclose(scores["mlp"], expected, rtol=1e-3, atol=1e-4)
    pairs = run.table(PAIRS).filter(split="validation")
    right = np.greater(
        *(
            pairwise_heads(run).scores(run.store, key_column(pairs[side]))["slic"]
            for side in ("chosen_key", "rejected_key")
        )
    )
    slic = result.pairwise["slic"]
    assert slic.validation_accuracy == pytest.approx(right.mean())
    assert slic.low <= right.mean() <= slic.high
    show(result, run)
    shown = capsys.readouterr().out
    assert "ordinal head beside the ridge" in shown
    assert "two-layer head" in shown


def test_ordinal_heads_stand_beside_the_ridge(run: Run) -> None:
    result = fit_other_heads(run, silent)
    ridge = run.read(HEADS).objectives
    arrays = run.arrays(OTHER_HEADS)
    assert result.skipped == {"ordinal": {}}
    assert result.objectives["ordinal"].keys() == ridge.keys()
    for name, head in result.objectives["ordinal"].items():
        assert head.ridge_pearson == ridge[name].pearson
        assert head.rows == ridge[name].rows
        assert head.details["alpha"] in (1.0, 10.0)
        levels = arrays[f"ordinal.{name}.levels"]
        assert len(levels) == head.details["levels"]
        _, features = features_of(run)
        scores = (features @ arrays[f"ordinal.{name}.weight"]).astype(np.float64)
        expected = level_probabilities(scores, arrays[f"ordinal.{name}.thresholds"]) @ levels
        assert levels[0] <= expected.min() <= expected.max() <= levels[-1]


def test_distributions_of_every_kind_stand_beside_the_ridges(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = OTHERS.replace('"slic", "mlp", "ordinal"', '"ordinal", "quantile", "gaussian"')
    more = run_of(two_layers(text).replace("validation = 0.3", "validation = 0.5") + others, tmp_path)
    extract(more, progress=silent)
    fit_heads(more, silent)
    result = fit_other_heads(more, silent)
    assert more.read(OTHER_HEADS) == result
    kinds = ["ordinal", "quantile", "gaussian", "ridge_gaussian", "ridge_residuals"]
    assert sorted(result.distributions) == sorted(kinds)
    arrays = more.arrays(OTHER_HEADS)
    assert "quantile.clear.weight" in arrays
    assert "gaussian.clear.weight" in arrays
    (rows,) = {metrics["clear"].rows for metrics in result.distributions.values()}
    examples = more.table(EXAMPLES)
    validation = examples.filter(pl.col("split") == "validation", pl.col("clear").is_not_null())
    judging = ~in_calibration_half(validation["prompt_key"], more.recipe.split.seed)
    assert rows == judging.sum()
    for metrics in result.distributions.values():
        assert 0 < metrics["clear"].crps < 0.5
        assert sum(metrics["clear"].pit) == pytest.approx(1.0)
    ridge = result.distributions["ridge_residuals"]["clear"]
    weight = more.arrays(INTERVALS)["train_weight"]
    objective = next(each for each in more.recipe.objectives if each.name == "clear")
    features = more.store.gather(key_column(validation["response_key"])).reshape(len(validation), -1)
    number = list(more.read(HEADS).objectives).index("clear")
    predicted = (features @ weight[number]).astype(np.float64)
    observed = objective.target(validation["clear"].to_numpy().astype(np.float64))
    residuals = (observed - predicted)[~judging]
    expected = Distributions.of_residuals(predicted[judging], residuals).crps(observed[judging]).mean()
    assert ridge.crps == pytest.approx(expected, rel=1e-4)
    show(result, more)
    assert "CRPS of distributions" in capsys.readouterr().out


def test_the_same_recipe_gives_the_same_heads(run: Run) -> None:
    path = run.folder / "other_heads.safetensors"
    fit_other_heads(run, silent)
    before = path.read_bytes()
    fit_other_heads(run, silent)
    assert path.read_bytes() == before


def test_an_objective_without_whole_steps_or_with_one_level_is_named(text: str, tmp_path: Path) -> None:
    odd = text.replace('name = "clear", low = 0, high = 10', 'name = "clear", low = 0, high = 10.5')
    run = run_of(odd + OTHERS.replace("layers = [2]", ""), tmp_path)
    extract(run, progress=silent)
    fit_heads(run, silent)
    result = fit_other_heads(run, silent)
    assert result.skipped["ordinal"] == {"clear": "its scale, 0 to 10.5, has no whole steps"}
    assert list(result.objectives["ordinal"]) == ["[/] :smile:"]


def test_none_are_fitted_by_default(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(text, tmp_path)
    extract(run, progress=silent)
    fit_heads(run, silent)
    result = fit_other_heads(run, silent)
    assert (result.pairwise, result.objectives) == ({}, {})
    show(result, run)
    assert "[other_heads] of the recipe names no head" in capsys.readouterr().out
    assert not run.path(OTHER_HEADS).exists()
    assert pairwise_heads(run).weights == {}


def test_heads_of_other_settings_are_not_used(run: Run) -> None:
    with pytest.raises(UserError, match="run `armorm fit-other-heads` first"):
        pairwise_heads(run)
    fit_other_heads(run, silent)
    other = run.recipe.other_heads.model_copy(update={"layers": ()})
    with pytest.raises(UserError, match=r"other_heads\.json is out of date \(other_heads changed\)"):
        pairwise_heads(Run(run.recipe.model_copy(update={"other_heads": other})))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ('fit = ["svm"]', "other_heads.fit[0]"),
        ('fit = ["slic", "slic"]', "fit names one of its values twice"),
        ('fit = ["slic"]\nlayers = [3]', "other_heads.layers names '3', which is unknown: name one of -1"),
        ('fit = ["mlp"]\nmlp = { hidden_size = 0 }', "other_heads.mlp.hidden_size"),
        ('fit = ["slic"]\nslic = { C = [] }', "other_heads.slic.C"),
    ],
)
def test_impossible_settings_are_refused_by_key(text: str, tmp_path: Path, changed: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        run_of(f"{text}\n[other_heads]\n{changed}\n", tmp_path)
    assert sentence in str(refused.value)


def test_no_pairs_on_one_side_and_a_hopeless_learning_rate_are_clear_sentences(text: str, tmp_path: Path) -> None:
    hopeless = OTHERS.replace("learning_rate = 1e-2", "learning_rate = 1e30").replace("layers = [2]", "")
    run = run_of(text + hopeless, tmp_path)
    extract(run, progress=silent)
    fit_heads(run, silent)
    with pytest.raises(UserError, match=r"not finite after \d+ steps: lower other_heads\.mlp\.learning_rate"):
        fit_other_heads(run, silent)
    run.table(PAIRS).filter(split="train").write_parquet(run.path(PAIRS))
    with pytest.raises(UserError, match="no validation pairs"):
        fit_other_heads(run, silent)


def test_their_scores_stand_beside_the_rules_of_a_suite(demo: Demo, tmp_path: Path) -> None:
    shutil.copytree(demo.folder, tmp_path / "demo")
    settings = '\n[other_heads]\nfit = ["slic", "mlp"]\nmlp = { hidden_size = 64, steps = 200 }\n'
    path = tmp_path / "demo" / "demo.toml"
    path.write_text(path.read_text() + settings)
    for command in ("fit-other-heads", "eval"):
        done = armorm(command, "--recipe", "demo.toml", "--json", folder=tmp_path / "demo")
        assert done.returncode == 0, done.stderr
    rules = json.loads(done.stdout)["rules"]
    assert list(rules) == [*demo.results["eval"]["rules"], "slic", "mlp"]
    for name in ("slic", "mlp"):
        assert len(rules[name]["subsets"]) == 27
        assert rules[name]["score"] > rules["length"]["score"]
    assert rules["bradley_terry"]["score"] == pytest.approx(demo.results["eval"]["rules"]["bradley_terry"]["score"])
    shown = armorm("eval", "--recipe", "demo.toml", folder=tmp_path / "demo").stdout
    assert "SLiC-HF loss" in shown
