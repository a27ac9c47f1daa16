"""All ways of the gate's benchmark learn the same pairs, with the changes that their names say."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gate import authors, ours, table
from benchmarks.gate.__main__ import left_out
from benchmarks.gate.data import Blocks, generate, split
from benchmarks.gate.markdown import NAMES
from gating.settings import GateSettings
from gating.training.precision import multiplies_bfloat16
from gating.training.standardising import Standardising

PAIRS, FEATURES, HIDDEN, STEPS = 4000, 64, 32, 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    generate(folder, PAIRS, FEATURES)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Way -> its result."""
    found = {"ours": ours.train(folder, PAIRS, GateSettings(hidden_size=HIDDEN, steps=STEPS))}
    for way in NAMES:
        if way.startswith("authors"):
            found[way] = authors.train(folder, PAIRS, HIDDEN, STEPS, authors.Changes.of_way(way))
    return found


def test_every_standardised_way_learns_more_than_equal_weights(results: dict[str, dict[str, Any]]) -> None:
    for way, result in results.items():
        if way != "authors":  # which learns little from columns a hundred times larger than the others
            assert result["accuracy"] > results["ours"]["uniform"] + 0.02, way


def test_bfloat16_and_float32_learn_as_much(results: dict[str, dict[str, Any]]) -> None:
    for way in ("authors-standardised", "authors-standardised-stopped"):
        assert results[f"{way}-bfloat16"]["precision"] == "bfloat16"
        assert results[f"{way}-bfloat16"]["accuracy"] == pytest.approx(results[way]["accuracy"], abs=0.03)


def test_stopping_keeps_the_gate_of_the_lowest_loss(results: dict[str, dict[str, Any]]) -> None:
    for way, result in results.items():
        stopped = "stopped" in way
        assert ("best_step" in result) == (stopped or way.startswith("ours"))
        if stopped:
            assert result["best_step"] % authors.CHECK_EVERY == 0
            assert result["best_step"] <= result["steps"] <= STEPS


def test_patience_ends_the_loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors, "CHECK_EVERY", 5)
    monkeypatch.setattr(authors, "PATIENCE_STEPS", 10)
    changes = authors.Changes(standardised=True, stopped=True)
    result = authors.train(folder, PAIRS, HIDDEN, 1000, changes)
    assert result["steps"] == result["best_step"] + 10


def test_their_standardising_is_that_of_the_training_rows(folder: Path) -> None:
    train = split(PAIRS)[0]
    x, _ = authors.read(folder, train.stop)
    raw = x[:, 0].clone()
    mean, spread = authors.standardise(x)
    ours_of = Standardising.fit(raw, torch.arange(len(raw)))
    torch.testing.assert_close(mean.double(), ours_of.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(spread.double(), ours_of.spread, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x[:, 1], ours_of.apply(raw, torch.float32), rtol=1e-3, atol=1e-3)


def test_pairs_to_judge_on_are_those_of_the_files(folder: Path) -> None:
    heads = torch.eye(FEATURES)[:19]
    rows = split(PAIRS)[2]
    judged = authors.Judged.read(folder, rows, heads)
    prompts = torch.cat([torch.from_numpy(block) for _, block in Blocks(folder / "prompts.npy")])[rows]
    responses = torch.cat([torch.from_numpy(block) for _, block in Blocks(folder / "responses.npy")])[rows].float()
    torch.testing.assert_close(judged.prompts, prompts.float())
    torch.testing.assert_close(judged.difference, responses[:, 0, :19] - responses[:, 1, :19])


def test_the_table_shows_where_a_way_is_faster_or_better_than_ours(results: dict[str, dict[str, Any]]) -> None:
    report = {
        "test_pairs": 10_000,
        "left_out": {"authors-standardised-bfloat16": "it is"},
        "results": [{"way": way, "pairs": PAIRS, "peak_bytes": 2e9} | result for way, result in results.items()],
    }
    better = report["results"][-1]
    better["accuracy"], better["seconds"] = results["ours"]["accuracy"] + 0.0123, results["ours"]["seconds"] / 4
    lines = table(report).splitlines()
    (line,) = (each for each in lines if each.startswith("| 4,000 | standardised, with early stopping, autocast"))
    assert "| 0.25 |" in line
    assert "| +1.23 |" in line
    assert lines[-1] == "Left out: standardised, autocast, since it is"


def test_autocast_is_left_out_where_the_processor_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bool(left_out([*NAMES])) != multiplies_bfloat16()
    monkeypatch.setattr("benchmarks.gate.__main__.multiplies_bfloat16", lambda: False)
    assert left_out([*NAMES]).keys() == {"authors-standardised-bfloat16", "authors-standardised-stopped-bfloat16"}
