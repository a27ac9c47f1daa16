"""The demo, end to end: what was planted is found again, and the artefacts keep their contract."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from gating.rules import RULES
from heads.objectives import PUBLISHED_OBJECTIVES
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def copy(demo: Demo, tmp_path: Path) -> Demo:
    """The demo's folder, for what writes into it: other tests read it meanwhile."""
    shutil.copytree(demo.folder, tmp_path / "demo")
    return Demo(tmp_path / "demo", demo.results)


def test_a_second_extract_makes_no_forward_pass_and_says_so(copy: Demo) -> None:
    again = armorm("extract", "--recipe", "demo.toml", folder=copy.folder)
    assert again.returncode == 0, again.stderr
    assert "no forward pass" in again.stdout
    assert "loading" not in again.stderr


def test_extract_counts_every_row(demo: Demo) -> None:
    result = demo.results["extract"]
    assert result["features_new"] > 1000
    assert result["features_reused"] == 0
    for name, count in result["datasets"].items():
        assert count["used"] > 0, name
        assert count["used"] + count["skipped"] == count["rows"]
    lines = (demo.run / "skipped.jsonl").read_text().splitlines()
    counted = sum(count["skipped"] + count["ratings_skipped"] for count in result["datasets"].values())
    assert len(lines) == result["skipped"] == counted
    assert all(set(json.loads(line)) == {"dataset", "row", "reason"} for line in lines)


def test_planted_imperfections_are_skipped(demo: Demo) -> None:
    reasons = [json.loads(line)["reason"] for line in (demo.run / "skipped.jsonl").read_text().splitlines()]
    assert any("is empty" in reason for reason in reasons)
    assert any("outside" in reason and "it is skipped" in reason for reason in reasons)


def test_heads_find_the_planted_qualities(demo: Demo) -> None:
    objectives = demo.results["fit-heads"]["objectives"]
    assert list(objectives) == [objective.name for objective in PUBLISHED_OBJECTIVES]
    assert objectives["beavertails-is_safe"]["pearson"] > 0.75
    assert objectives["helpsteer-verbosity"]["pearson"] > 0.7
    assert np.median([head["pearson"] for head in objectives.values()]) > 0.5
    weight = load_file(demo.run / "heads.safetensors")["weight"]
    assert weight.shape == (19, 256)
    assert np.isfinite(weight).all()


def test_verbosity_follows_length(demo: Demo) -> None:
    examples = pl.read_parquet(demo.run / "tables" / "examples.parquet")
    rated = examples.filter(pl.col("helpsteer-verbosity").is_not_null())
    assert np.corrcoef(rated["helpsteer-verbosity"], np.log(rated["response_tokens"]))[0, 1] > 0.5


def test_debiasing_takes_the_correlation_out(demo: Demo) -> None:
    gating = demo.results["train-gating"]
    before, after, before_held_out, after_held_out, lambdas = (
        gating[key]["helpsteer-verbosity"]
        for key in (
            "correlation_before",
            "correlation_after",
            "correlation_before_held_out",
            "correlation_after_held_out",
            "lambda",
        )
    )
    for name in lambdas:
        if name == "helpsteer-verbosity":
            assert after[name] is None
            assert lambdas[name] == 1.0
        else:
            assert abs(after[name]) <= 0.01, name
            assert abs(after_held_out[name]) < 0.25, name
            assert before_held_out[name] == pytest.approx(before[name], abs=0.25)
    assert gating["no_root"] == {}
    assert max(map(abs, before.values())) > 0.3


def test_the_gate_beats_uniform_weights_on_held_out_prompts(demo: Demo) -> None:
    gating = demo.results["train-gating"]
    assert gating["validation_accuracy"] > gating["uniform_validation_accuracy"] + 0.05
    rules = demo.results["eval"]["rules"]
    assert rules["gate"]["score"] > rules["uniform"]["score"]
    assert rules["gate"]["sections"]["Safety"] > rules["uniform"]["sections"]["Safety"] + 0.1
    assert gating["warning"] is None


def test_every_rule_is_judged_on_the_held_out_pairs_with_its_interval(demo: Demo) -> None:
    gating = demo.results["train-gating"]
    assert list(gating["rules"]) == list(RULES) == list(demo.results["eval"]["rules"])
    for name, rule in gating["rules"].items():
        assert 0 <= rule["low"] <= rule["accuracy"] <= rule["high"] <= 1
        lead = rule["accuracy"] - gating["rules"]["uniform"]["accuracy"]
        assert rule["lead"]["accuracy"] == pytest.approx(lead), name
    assert gating["rules"]["gate"]["accuracy"] == gating["validation_accuracy"]
    assert gating["validation_pairs"] == sum(own["pairs"] for own in gating["rules_by_dataset"].values())
    assert set(gating["single_objectives"]) == set(demo.results["eval"]["single_objectives"])


def test_the_gate_is_summarised_by_pair_set_and_by_section(demo: Demo) -> None:
    summaries = [
        *demo.results["train-gating"]["gate_by_dataset"].values(),
        *demo.results["eval"]["gate_summary_by_section"].values(),
    ]
    assert len(summaries) > 6
    for summary in summaries:
        assert 0 <= summary["entropy"] <= 1
        assert 1 / 19 <= summary["top_share"] <= 1


def test_safety_counts_more_on_safety_prompts_than_on_reasoning(demo: Demo) -> None:
    shares = demo.results["eval"]["gate_by_section"]
    assert shares["Safety"]["beavertails-is_safe"] > 2 * shares["Reasoning"]["beavertails-is_safe"]
    assert math.isclose(sum(shares["Safety"].values()), 1.0, abs_tol=1e-5)


def test_evaluation_has_every_rule_section_and_subset(demo: Demo) -> None:
    result = demo.results["eval"]
    assert set(result["rules"]) >= {"gate", "uniform", "bradley_terry", "length"}
    for rule in result["rules"].values():
        assert len(rule["subsets"]) == 27
        assert set(rule["sections"]) == {"Chat", "Chat Hard", "Safety", "Reasoning", "Prior Sets"}
        for subset in rule["subsets"].values():
            assert 0 <= subset["low"] <= subset["accuracy"] <= subset["high"] <= 1
    assert result["missing"] == 0


def test_the_table_says_that_its_rows_are_self_made(copy: Demo) -> None:
    shown = armorm("eval", "--recipe", "demo.toml", folder=copy.folder)
    assert "self-made" in shown.stdout.splitlines()[0]
    assert "what counts where" in shown.stdout
    assert str(copy.run.relative_to(copy.folder) / "rewardbench.json") in shown.stdout


def test_json_results_stand_alone_on_stdout_and_equal_the_files(demo: Demo) -> None:
    files = {"fit-heads": "heads", "train-gating": "gating", "eval": "rewardbench"}
    for command, file in files.items():
        written: dict[str, Any] = json.loads((demo.run / f"{file}.json").read_text())
        printed = demo.results[command]
        assert printed.keys() <= written.keys()
        assert written.keys() - printed.keys() == {"stamp", "fingerprint", "data", "checksum"}


def test_a_suite_row_whose_features_are_gone_is_named_and_not_scored(copy: Demo) -> None:
    path = copy.run / "tables" / "suites.parquet"
    suites = pl.read_parquet(path)
    lost = suites["row"][0]
    first = (pl.col("row") == lost) & pl.col("chosen")
    suites.with_columns(
        response_key=pl.when(first).then(pl.lit(b"0123456789abcdef")).otherwise("response_key")
    ).write_parquet(path)
    done = armorm("eval", "--recipe", "demo.toml", "--json", folder=copy.folder)
    result = json.loads(done.stdout)
    assert result["missing"] == 1
    assert [row["row"] for row in result["missing_rows"]] == [lost]
    assert result["rows"] == copy.results["eval"]["rows"] - 1
    assert f"row {lost}: its features are not in the store" in done.stderr
