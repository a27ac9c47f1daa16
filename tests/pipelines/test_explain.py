"""`armorm explain`: what each objective adds to the score of one response."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.keys import key_column
from export.explanation import explain, explanation
from extract.special_tokens import special_tokens
from gating.gate import Gate
from gating.measured import Measured
from gating.reward import RewardParts
from gating.rules import RULES
from gating.rules.rule import Responses
from gating.settings import MEASURED, GateSettings, Verbosity, variables_of
from pipelines.fitted import fitted_rules, reward_model
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY
from tests.gating.transforms import transform_of
from tests.pipelines.conftest import Demo, armorm

PROMPT, RESPONSE = "How do I bake bread?", "Mix flour, water, salt and yeast, let it rise, and bake it for 40 minutes."


def random_parts(seed: int, k: int, d: int, verbosity: Verbosity) -> RewardParts:
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        gate = Gate(d, k, GateSettings(hidden_size=5, hidden_layers=1, temperature=0.3))
        with torch.no_grad():
            gate.logit_scale.fill_(float(rng.uniform(0.5, 50)))
    names = tuple(f"objective {number}" for number in range(k))
    transform = transform_of(rng.standard_normal((len(MEASURED) + k, k)), verbosity, names)
    return RewardParts(names, rng.standard_normal((k, d)).astype(np.float32), transform, gate.eval())


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    k=st.integers(1, 20),
    d=st.integers(1, 12),
    verbosity=st.one_of(
        st.sampled_from(["objective 0", "response_tokens", "none"]),
        st.sets(st.sampled_from(["objective 0", *MEASURED]), min_size=1).map(sorted).map(tuple),
    ),
)
def test_the_terms_sum_to_the_score_exactly_and_the_score_is_the_gates(
    seed: int, k: int, d: int, verbosity: Verbosity
) -> None:
    parts = random_parts(seed, k, d, verbosity)
    rng = np.random.default_rng(seed + 1)
    prompt, response = rng.standard_normal((2, 1, d)).astype(np.float32)
    weights, rewards = parts.weights(prompt), parts.rewards(response)
    told = explanation(
        parts,
        parts.score(rewards[0], weights[0], 12, Measured(np.array([57]), np.array([[3, 12, 1]]))),
        "a question",
        "an answer",
    )
    terms = [term.contribution for term in told.objectives]
    assert sum(terms) == told.score
    for term in told.objectives:
        assert term.gain == term.coefficient * term.reward
        assert term.contribution == term.gain - term.verbosity_penalty
        each = [term.coefficient * term.lambdas[one.name] * one.value for one in told.verbosity]
        assert list(term.penalties.values()) == pytest.approx(each, rel=1e-12)
        size = sum(map(abs, each))
        assert term.verbosity_penalty == pytest.approx(sum(each), rel=1e-12, abs=1e-12 * size)
    for variable in told.verbosity:
        taken = [term.penalties[variable.name] for term in told.objectives]
        assert variable.penalty == pytest.approx(sum(taken), rel=1e-12, abs=1e-12 * sum(map(abs, taken)))
    assert {one.name for one in told.verbosity} == set(variables_of(verbosity))
    lambdas = np.asarray([[term.lambdas[one.name] for one in told.verbosity] for term in told.objectives])  # (k, m)
    adjusted = parts.weight @ response[0] - lambdas @ [one.value for one in told.verbosity]
    some = Responses(
        adjusted[None].astype(np.float32),
        weights,
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1, np.int32),
        np.zeros((1, k), np.float32),
    )
    size = sum(abs(term.gain) + sum(map(abs, term.penalties.values())) for term in told.objectives)
    (score,) = RULES["gate"].scores(some, {})
    assert abs(score - told.score) <= 4 * k * np.finfo(np.float32).eps * size


def test_json_through_the_command_line(demo: Demo) -> None:
    arguments = ["explain", "--recipe", "demo.toml", "--prompt", PROMPT, "--response", RESPONSE]
    done = armorm(*arguments, "--json", folder=demo.folder)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["prompt"] == PROMPT
    assert len(told["objectives"]) == 19
    assert sum(term["contribution"] for term in told["objectives"]) == told["score"]
    assert sum(term["coefficient"] for term in told["objectives"]) == pytest.approx(told["gate"]["logit_scale"])
    (verbosity,) = [term for term in told["objectives"] if term["name"] == "helpsteer-verbosity"]
    assert verbosity["contribution"] == 0.0
    assert verbosity["lambda"] == {"helpsteer-verbosity": 1.0}
    (variable,) = told["verbosity"]
    assert variable["value"] == verbosity["reward"]
    assert told["score_std"] > 0.0
    assert told["unfamiliar"] in (True, False)
    places = [term["uncertainty"]["leverage_place"] for term in told["objectives"]]
    assert any(place is not None for place in places)  # sets with fewer than 20 validation rows tell nothing
    assert all(0.0 <= place <= 1.0 for place in places if place is not None)
    for term in told["objectives"]:
        assert term["uncertainty"]["std"] > 0.0
        steps = term["rating"]["high"] - term["rating"]["low"]
        # bin_centre has one step more than the scale is wide
        assert term["rating"]["std"] / term["uncertainty"]["std"] == pytest.approx(steps + (steps > 1.0))
        if term["interval"] is not None:
            widths = [high - low for low, high in (term["interval"], term["rating"]["interval"])]
            assert widths[1] / widths[0] == pytest.approx(steps + (steps > 1.0))
    assert told["coverage"] == 0.9
    assert any(term["interval"] is not None for term in told["objectives"])
    assert told["distributions"] == {}  # the recipe has no other heads


def test_the_table_names_every_objective_and_the_score(demo: Demo) -> None:
    shown = armorm("explain", "--recipe", "demo.toml", "--prompt", PROMPT, "--response", RESPONSE, folder=demo.folder)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"score -?\d+\.\d{6} ± \d+\.\d{4}", shown.stdout)
    assert "± is one standard error" in shown.stdout
    assert re.search(r"0 to 4 │ +-?\d\.\d\d ± \d\.\d\d │", shown.stdout)
    assert re.search(r"\d\.\d\d to \d+\.\d\d", shown.stdout)
    assert re.search(r"its leverage, where it is most at home, is at the [01]\.\d\d quantile", shown.stdout)
    for name in demo.results["fit-heads"]["objectives"]:
        assert name in shown.stdout
    assert "penalty = coefficient × lambda × verbosity" in shown.stdout


def test_a_row_of_the_suite_scores_as_it_did_in_the_evaluation(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.folder)
    run = Run(read_recipe(demo.folder / "demo.toml"))
    path = next((demo.folder / "data" / "demo").glob("allenai/reward-bench/data/*.parquet"))
    row = pl.read_parquet(path).row(0, named=True)
    model = fitted_rules(run)
    suites = pl.read_parquet(demo.run / "tables" / "suites.parquet").filter(
        (pl.col("subset") == row["subset"]) & pl.col("chosen")
    )
    stored = model.scores(
        model.responses(
            run.store,
            key_column(suites["prompt_key"]),
            key_column(suites["response_key"]),
            Measured.of_rows(suites),
        )
    )["gate"]
    explained = explain(reward_model(run), row["prompt"], row["chosen"])
    assert np.abs(stored - explained.score).min() < 0.01 * np.abs(stored).max()  # the store keeps float16


@pytest.mark.parametrize(
    ("prompt", "response", "sentence"),
    [
        (PROMPT, "  ", "the response is empty"),
        (PROMPT, "word " * 3000, "more than max_tokens = "),
        (PROMPT, "<|eot_id|>", "spells the special token|cannot be scored"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(
    demo: Demo, prompt: str, response: str, sentence: str, encoder: Any
) -> None:
    if "special" in sentence:
        response = f"before {special_tokens(encoder.tokenizer)[0]} behind"
    done = armorm("explain", "--recipe", "demo.toml", "--prompt", prompt, "--response", response, folder=demo.folder)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: this conversation cannot be scored: ")
    assert re.search(sentence, done.stderr)


def test_prompt_and_response_are_read_apart(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.folder)
    run = Run(read_recipe(demo.folder / "demo.toml"))
    texts = [
        [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": text}] for text in (RESPONSE, "No.")
    ]
    one, other = reward_model(run).score(texts)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-4, atol=1e-5)
    assert np.abs(one.rewards - other.rewards).max() > 0.01
    assert one.response_tokens > other.response_tokens > 0


def test_a_run_without_a_gate_names_the_command_that_is_missing(demo: Demo, tmp_path: Any) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    (folder / "runs" / "demo" / "gating.json").unlink()
    done = armorm("explain", "--recipe", "demo.toml", "--prompt", PROMPT, "--response", RESPONSE, folder=folder)
    assert done.returncode == 2
    assert "run `armorm train-gating` first" in done.stderr


def test_a_backbone_that_has_changed_since_is_refused(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    shutil.copytree(TINY, tmp_path / "backbone")
    config = tmp_path / "backbone" / "config.json"
    recipe = folder / "demo.toml"
    recipe.write_text(recipe.read_text().replace(str(TINY), str(tmp_path / "backbone")))
    # The copy has the same fingerprint, so that only the recipe's spelling makes the run out of date.
    for command in ("extract", "fit-heads", "train-gating"):
        assert armorm(command, "--recipe", "demo.toml", folder=folder).returncode == 0
    arguments = ["explain", "--recipe", "demo.toml", "--prompt", PROMPT, "--response", RESPONSE]
    assert armorm(*arguments, folder=folder).returncode == 0
    config.write_text(config.read_text() + "\n")
    done = armorm(*arguments, folder=folder)
    assert done.returncode == 2
    assert re.search(r"^error: the backbone of .* is not the one that runs/demo was extracted with", done.stderr, re.M)
