"""The demo's reward model out of its folder scores as the pipeline did: store, heads and gate."""

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import FeatureStore, token_key
from cache.keys import as_keys
from cache.progress import silent
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.collect import collect
from extract.records import Message, Prompt
from extract.templating import ConversationEncoder, Encoded, NotEncodableError
from gating.measured import Measured
from gating.reward import Scored
from gating.rules import RULES
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.commands.extract import find
from pipelines.fitted import fitted_rules
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.export.conftest import export_json
from tests.pipelines.conftest import Demo, armorm

Turns = list[dict[str, str]]


class RecordingEncoder(ConversationEncoder):
    """Keeps every conversation that could be encoded, with its tokens."""

    made: dict[bytes, tuple[Turns, Encoded, int]]

    def encode(self, conversations: Any, *, empty: bool = False) -> list[Encoded | NotEncodableError]:
        results = super().encode(conversations, empty=empty)
        kept = self.__dict__.setdefault("made", {})
        for (prompt, responses), encoded in zip(conversations, results, strict=True):
            if isinstance(encoded, Encoded):
                for place, response in enumerate(responses):
                    key = token_key(np.concatenate([encoded.prompt, encoded.responses[place]]))
                    kept.setdefault(key, (_turns(prompt, response), encoded, place))
        return results


def _turns(prompt: Prompt, response: str) -> Turns:
    messages = (*prompt, Message("assistant", response))
    return [{"role": message.role, "content": message.content} for message in messages]


def rows_and_scores(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Turns], np.ndarray[Any, Any]]:
    """Every conversation of the demo as text, and what store, heads and gate make of it."""
    monkeypatch.chdir(demo.folder)
    run = Run(read_recipe(demo.folder / "demo.toml"))
    recipe, store = run.recipe, run.store
    backbone = find_backbone(recipe.backbone)
    encoder = RecordingEncoder(backbone.tokenizer, recipe.backbone, backbone.vocabulary)
    encoder.made = {}  # less what the encoder tried itself on
    found = find(run, recipe.data_root, None, silent)
    collect(found.datasets, [], [own.name for own in recipe.objectives], encoder, recipe.split)
    kept = {key: one for key, one in encoder.made.items() if not store.missing(as_keys([key])).any()}
    prompts = as_keys(token_key(encoded.prompt) for _, encoded, _ in kept.values())
    tokens = np.asarray([len(encoded.responses[place]) for _, encoded, place in kept.values()], dtype=np.int32)
    fitted = fitted_rules(run)
    scores = fitted.scores(fitted.responses(store, prompts, as_keys(kept), Measured(tokens)))["gate"]
    assert isinstance(store, FeatureStore)
    return [turns for turns, _, _ in kept.values()], scores


def differences(scores: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Differences of scores relative to their spread; the store keeps float16."""
    return np.abs(scores - expected) / np.std(expected)


def test_a_sample_of_the_rows_scores_as_in_the_evaluation(
    demo: Demo, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, expected = rows_and_scores(demo, monkeypatch)
    some = np.random.default_rng(0).choice(len(rows), 100, replace=False)
    results = RewardModel.load(exported).score([rows[number] for number in some])
    assert differences(np.asarray([result.score for result in results]), expected[some]).max() < 0.01


@pytest.mark.slow
def test_every_row_scores_as_in_the_evaluation(demo: Demo, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, expected = rows_and_scores(demo, monkeypatch)
    results = RewardModel.load(exported).score_each(rows)
    assert all(isinstance(result, Scored) for result in results)
    scores = np.asarray([result.score for result in results if isinstance(result, Scored)])
    assert differences(scores, expected).max() < 0.01
    model = AutoModelForSequenceClassification.from_pretrained(exported, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    order = np.argsort([sum(len(turn["content"]) for turn in row) for row in rows])
    logits = np.empty(len(rows))
    for batch in np.array_split(order, len(rows) // 16):
        inputs = tokenizer.apply_chat_template(
            [rows[number] for number in batch], padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            logits[batch] = model(**inputs).logits[:, 0]
    assert differences(logits, expected).max() < 0.01


def test_the_folder_says_what_it_is(demo: Demo, exported: Path) -> None:
    told = export_json(demo)
    assert told["largest_difference"] < 1e-4
    assert told["suites"] == ["rewardbench"]
    assert (
        told["bytes"] == json.loads((exported / "model.safetensors.index.json").read_text())["metadata"]["total_size"]
    )
    provenance = json.loads((exported / "provenance.json").read_text())
    assert provenance["recipe"]["name"] == "demo"
    assert provenance["fingerprint"]["position"] == "end_of_turn"
    assert {path.suffix for path in exported.iterdir()} <= {".json", ".safetensors", ".py", ".md", ".jinja"}
    own = RewardModel.load(exported)
    assert own.objectives == tuple(objective.name for objective in PUBLISHED_OBJECTIVES)
    helpfulness = own.config.scales["helpsteer-helpfulness"]
    np.testing.assert_allclose(helpfulness.raw(np.asarray([0.5])), [0.5 * 5 - 0.5])  # as the method's page reads it


def test_the_card_quotes_the_runs_own_figures(demo: Demo, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    gate = demo.results["eval"]["rules"]["gate"]
    assert f"| {RULES['gate'].title} | {100 * gate['score']:.1f} |" in card
    assert f"{demo.results['train-gating']['rules']['gate']['accuracy']:.1%} of" in card
    for name, head in demo.results["fit-heads"]["objectives"].items():
        assert re.search(rf"^\| {name} \| .* \| {head['rows']:,} \| {head['pearson']:.3f} \|", card, re.MULTILINE)
    judged = [head["interval"]["all_sets"]["covered"] for head in demo.results["fit-heads"]["objectives"].values()]
    known = [each for each in judged if each["fraction"] is not None]
    rows = sum(each["rows"] for each in known)
    inside = round(sum(each["rows"] * each["fraction"] for each in known))
    assert f"of {rows:,} held-out ratings that did not set them, {inside / rows:.1%} lie in theirs" in card
    assert str(demo.folder) not in card
    assert "**No commercial use**: the licences of beavertails, pku_safe_rlhf_safer forbid it." in card
    assert "| helpsteer | cc-by-4.0 |" in card
    assert "| shp | not stated |" in card
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_the_example_of_the_methods_page(exported: Path) -> None:
    """Coefficients times rewards are the score, read as that page reads them."""
    placed = {"device_map": "cpu"} if find_spec("accelerate") else {}  # transformers places models by way of it
    model = AutoModelForSequenceClassification.from_pretrained(
        exported, **placed, trust_remote_code=True, torch_dtype=torch.bfloat16
    )
    tokenizer = AutoTokenizer.from_pretrained(exported, use_fast=True)
    turns = [{"role": "user", "content": "Name three rivers."}, {"role": "assistant", "content": "Rhine, Nile, Po."}]
    encoded = tokenizer.apply_chat_template(turns, return_tensors="pt").to("cpu")
    with torch.no_grad():
        output = model(encoded)  # in transformers 5 a mapping, before a tensor
    rewards, gating, score = (value.cpu().float() for value in (output.rewards, output.gating_output, output.score))
    transform = model.reward_transform_matrix.data.cpu().float()
    coefficients = gating @ transform.T  # (1, k)
    assert torch.isclose(torch.sum(rewards * coefficients, dim=1), score, atol=1e-3)
    top = torch.argsort(torch.abs(coefficients), dim=1, descending=True)[:, :3]
    largest = torch.gather(coefficients, dim=1, index=top)
    assert largest.abs().min() >= coefficients.abs().median()
    assert len({model.objectives[place] for place in top[0].tolist()}) == 3
    ratings = rewards[0, :5] * 5 - 0.5
    assert ((ratings > -1) & (ratings < 5)).all()


def flat(values: Any, name: str = "") -> dict[str, float]:
    """The numbers of nested JSON by path; NaN for null."""
    if isinstance(values, dict | list):
        of = values.items() if isinstance(values, dict) else enumerate(values)
        return {path: number for key, value in of for path, number in flat(value, f"{name}/{key}").items()}
    return {name: float("nan") if values is None else float(values)}


def test_explain_takes_the_folder_or_the_recipe(demo: Demo, exported: Path) -> None:
    asked = ["--prompt", "How do I bake bread?", "--response", "Mix flour and water.", "--json"]
    one, other = (
        armorm("explain", *where, *asked, folder=demo.folder) for where in ([str(exported)], ["--recipe", "demo.toml"])
    )
    assert one.returncode == other.returncode == 0, one.stderr + other.stderr
    here, there = json.loads(one.stdout), json.loads(other.stdout)
    assert here["score"] == pytest.approx(there["score"], rel=1e-4)
    assert [one["name"] for one in here["verbosity"]] == ["helpsteer-verbosity"]
    for mine, theirs in zip(here["objectives"], there["objectives"], strict=True):
        assert mine.pop("name") == theirs.pop("name")
        assert flat(mine) == pytest.approx(flat(theirs), rel=2e-3, abs=1e-4, nan_ok=True)
    neither = armorm("explain", *asked, folder=demo.folder)
    assert neither.returncode == 2
    assert "either MODEL_DIR or --recipe" in neither.stderr


def test_it_scores_a_suite_as_the_run_did(demo: Demo, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(demo.folder, tmp_path / "demo")
    command = ["score-suite", "--recipe", "demo.toml", "--scorer", f"armorm:{exported}", "--json"]
    done = armorm(*command, folder=tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    own = pl.read_parquet(demo.run / "scores" / "rewardbench.parquet")
    assert json.loads(done.stdout)["skipped"] == 0
    told = pl.read_parquet(next((tmp_path / "demo" / "runs" / "demo" / "scorers" / "rewardbench").glob("*.parquet")))
    both = own.join(told, on=["suite", "subset", "row", "chosen", "place"], how="inner")
    assert len(both) == len(own) == len(told)
    assert differences(both["score"].to_numpy(), both["score.gate"].to_numpy()).max() < 0.01


def test_a_recipe_that_was_not_run_is_not_exported(demo: Demo, tmp_path: Path) -> None:
    recipe = (demo.folder / "demo.toml").read_text().replace('name = "demo"', 'name = "not-run"', 1)
    (tmp_path / "not-run.toml").write_text(recipe)
    done = armorm("export", "--recipe", "not-run.toml", "--out", "out", folder=tmp_path)
    assert done.returncode == 2
    assert "run `armorm extract` first" in done.stderr
    assert not (tmp_path / "out").exists()
