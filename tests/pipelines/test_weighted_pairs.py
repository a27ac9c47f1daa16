"""Pair sets that count by their margin, from the recipe to every head and rule that is fitted on pairs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cache import UserError
from cache.progress import silent
from extract.sources import SOURCES
from gating.inputs import usable_pairs
from pipelines.artefacts import GATING, HEADS, OTHER_HEADS, PAIRS
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.fit_other_heads import fit_other_heads
from pipelines.commands.train_gating import train_gating
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm
from tests.pipelines.pairs_run import extracted, unrated_run, write_rows


def rewritten(folder: Path, margin_of: Callable[[int], float | None]) -> None:
    """Give every row of the pairs a margin, by its number."""
    path = folder / "pairs.jsonl"
    rows = [json.loads(line) | {"margin": margin_of(n)} for n, line in enumerate(path.read_text().splitlines())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def weighted(run: Run) -> Run:
    """A run of the same name whose pairs count by their margin."""
    pairs = tuple(each.model_copy(update={"weight_by": "margin"}) for each in run.recipe.pairs)
    return Run(run.recipe.model_copy(update={"pairs": pairs}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with margins 1, 2 and 3, and for each fourth pair none."""
    folder = tmp_path_factory.mktemp("weighted")
    write_rows(folder)
    rewritten(folder, lambda number: (1.0, 2.0, 3.0, None)[number % 4])
    return folder


def test_every_head_and_rule_of_pairs_learns_from_the_weights_without_another_extract(folder: Path) -> None:
    run = unrated_run(folder, "weighted")
    other_heads = run.recipe.other_heads.model_validate({"fit": ["slic"], "slic": {"C": (0.01,)}})
    heads = run.recipe.heads.model_copy(update={"bradley_terry_C": (0.01,)})
    run = extracted(Run(run.recipe.model_copy(update={"other_heads": other_heads, "heads": heads})))
    arrays = []
    for each in (run, weighted(run)):
        fit_heads(each, silent)
        train_gating(each, silent)
        fit_other_heads(each, silent)
        arrays.append({artefact.file: each.arrays(artefact) for artefact in (HEADS, GATING, OTHER_HEADS)})
    plain, by_margin = arrays
    for file, name in (
        (HEADS.file, "weight"),
        (GATING.file, "bradley_terry.weight"),
        (GATING.file, "rules.convex.weight"),
        (OTHER_HEADS.file, "slic.weight"),
    ):
        assert not np.allclose(by_margin[file][name], plain[file][name], rtol=3e-4)


def test_weights_of_a_set_multiply_with_the_recipes_weight_of_the_set(folder: Path) -> None:
    run = weighted(extracted(unrated_run(folder, "product")))
    gate = run.recipe.gate.model_copy(update={"pair_weights": {"preference": 4.0}})
    table = usable_pairs(run.table(PAIRS), gate, run.recipe.weighted_by_margin, run.store)
    mean = table["margin"].mean()
    assert isinstance(mean, float)
    assert table["weight"].to_list() == pytest.approx((4.0 * (table["margin"] / mean).fill_null(1.0)).to_list())
    assert table["weight"].mean() == pytest.approx(4.0)


def test_ties_of_the_loss_with_ties_keep_their_weight(folder: Path) -> None:
    run = weighted(extracted(unrated_run(folder, "ties")))
    gate = run.recipe.gate.model_copy(update={"ties": {"preference": 1.0}})
    table = usable_pairs(run.table(PAIRS), gate, run.recipe.weighted_by_margin, run.store)
    assert table.filter("tied")["weight"].unique().to_list() == [1.0]
    assert table.filter(~pl.col("tied"))["weight"].mean() == pytest.approx(1.0)


def test_rows_without_margins_are_refused_before_the_pass(tmp_path: Path) -> None:
    write_rows(tmp_path)
    run = weighted(unrated_run(tmp_path, "without"))
    with pytest.raises(
        UserError, match=r"\[\[pairs\]\] preference: weight_by = 'margin', and none of its 40 pairs has"
    ):
        extracted(run)
    assert not list((tmp_path / "features").glob("*/store.json"))


def test_a_key_that_was_added_after_the_extraction_is_refused_by_the_command_that_uses_it(tmp_path: Path) -> None:
    write_rows(tmp_path)
    rewritten(tmp_path, lambda _: None)
    run = weighted(extracted(unrated_run(tmp_path, "late")))
    with pytest.raises(
        UserError, match=r"preference: weight_by = 'margin', and none of its 40 pairs has a margin abov"
    ):
        fit_heads(run, silent)


def test_sources_say_whether_their_pairs_have_margins(demo: Demo) -> None:
    pairs = pl.read_parquet(demo.run / "tables" / "pairs.parquet")
    found = pairs.group_by("dataset").agg(pl.col("margin").is_not_null().any()).rows()
    sources = {"pair_data_v2": "preference"}
    read = {name: SOURCES[sources.get(name, name)].margins for name, _ in found}
    for name, has_margins in found:
        assert read[name] or not has_margins
    assert {name for name, has_margins in found if has_margins} >= {"shp", "ultrafeedback_binarized"}


def test_the_command_line_refuses_a_source_without_margins_in_one_sentence(demo: Demo, tmp_path: Path) -> None:
    text = (demo.folder / "demo.toml").read_text()
    recipe = text.replace('source = "hh_rlhf"', 'source = "hh_rlhf"\nweight_by = "margin"')
    (tmp_path / "demo.toml").write_text(recipe)
    done = armorm("train-gating", "--recipe", "demo.toml", folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "the source 'hh_rlhf' gives no margins: take weight_by out" in " ".join(done.stderr.split())
