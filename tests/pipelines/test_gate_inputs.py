"""Runs whose pairs cannot be learned from: each is refused in one sentence, by the command itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.artefacts import HEADS
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm

Table = pl.DataFrame


@pytest.fixture
def copy(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's folder."""
    shutil.copytree(demo.folder, tmp_path / "copy")
    return tmp_path / "copy"


def change(folder: Path, how: Callable[[Table], Table]) -> None:
    path = folder / "runs" / "demo" / "tables" / "pairs.parquet"
    how(pl.read_parquet(path)).write_parquet(path)


def with_gate(folder: Path, line: str) -> None:
    recipe = folder / "demo.toml"
    recipe.write_text(recipe.read_text().replace("[gate]\n", f"[gate]\n{line}\n"))


def refusal(folder: Path) -> str:
    done = armorm("train-gating", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


def test_no_pairs(copy: Path) -> None:
    change(copy, lambda pairs: pairs.head(0))
    assert "there are no pairs to train the gate on: add a pair set to the recipe" in refusal(copy)


def test_no_held_out_pairs(copy: Path) -> None:
    change(copy, lambda pairs: pairs.filter(pl.col("split") == "train"))
    assert "there are no validation pairs: add a pair set, or change split.validation" in refusal(copy)


def test_all_ties(copy: Path) -> None:
    change(copy, lambda pairs: pairs.with_columns(margin=pl.lit(0.0)))
    assert "training pairs are ties: add a pair set with preferences, or lower gate.ties" in refusal(copy)


def test_prompts_without_features(copy: Path) -> None:
    lost = pl.lit(b"0123456789abcdef")
    first = pl.int_range(pl.len()) == 3
    change(copy, lambda pairs: pairs.with_columns(prompt_key=pl.when(first).then(lost).otherwise("prompt_key")))
    said = refusal(copy)
    assert "the prompts of 1 pairs have no feature in features/" in said
    assert "run `armorm extract` again" in said


def test_one_prompt_in_both_splits(copy: Path) -> None:
    turned = (
        pl.when(pl.int_range(pl.len()).over("prompt_key") == 0).then(pl.lit("validation")).otherwise(pl.lit("train"))
    )
    change(copy, lambda pairs: pairs.with_columns(split=turned))
    said = refusal(copy)
    assert "lie both in the training and in the validation pairs, the first that of" in said
    assert "run `armorm extract` again" in said


def write_a_head_that_is_not_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = Run(read_recipe(Path("demo.toml")))
    weight = run.arrays(HEADS)["weight"].copy()
    weight[2] = np.nan
    run.write(HEADS, run.read(HEADS), arrays={"weight": weight})


def test_a_reward_that_is_not_a_number(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_a_head_that_is_not_a_number(copy, monkeypatch)
    assert "the reward helpsteer-coherence of a reference response is not finite: run `armorm fit-heads`" in refusal(
        copy
    )


def test_a_reward_that_is_not_a_number_where_nothing_is_debiased_names_the_row(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_a_head_that_is_not_a_number(copy, monkeypatch)
    recipe = copy / "demo.toml"
    recipe.write_text(recipe.read_text() + '\n[debiasing]\nverbosity = "none"\n')
    said = refusal(copy)
    assert "the reward helpsteer-coherence is not finite for " in said
    assert ", row " in said


def test_an_unknown_verbosity_objective(copy: Path) -> None:
    recipe = copy / "demo.toml"
    recipe.write_text(recipe.read_text() + '\n[debiasing]\nverbosity = "wordiness"\n')
    assert "debiasing.verbosity names 'wordiness', which is unknown: name one of 'response_tokens', 'm" in refusal(copy)


def test_a_verbosity_objective_that_was_not_fitted(copy: Path) -> None:
    path = copy / "runs" / "demo" / "heads.json"
    heads = json.loads(path.read_text().replace('"helpsteer-verbosity": {', '"helpsteer-brevity": {'))
    del heads["checksum"]
    path.write_text(json.dumps(heads))
    assert "debiasing.verbosity: the objective helpsteer-verbosity was not fitted: name another" in refusal(copy)


@pytest.mark.parametrize("key", ["ties", "margin", "pair_weights"])
def test_settings_for_a_pair_set_that_is_not_there(copy: Path, key: str) -> None:
    with_gate(copy, f"{key} = {{ nonsense = 1.0 }}")
    assert f"gate.{key} names 'nonsense', which is unknown: name one of ultrafeedback_binarized, hh_rlhf" in refusal(
        copy
    )


def test_weights_that_leave_nothing(copy: Path) -> None:
    sets = pl.read_parquet(copy / "runs" / "demo" / "tables" / "pairs.parquet")["dataset"].unique()
    with_gate(copy, "pair_weights = { " + ", ".join(f"{name} = 0" for name in sets) + " }")
    assert "gate.pair_weights leaves out every pair set that has pairs: give one a weight above 0" in refusal(copy)
