"""The published checkpoint's layout is loaded and scored without its code."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from cache import UserError
from export.explanation import explanation
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from gating.reward import Scored
from heads.objectives import PUBLISHED_OBJECTIVES
from tests.export.conftest import SEVERAL, conversation
from tests.export.published_layout import published_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_checkpoint(tmp_path_factory.mktemp("published") / "checkpoint", dtype=torch.float32)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> RewardModel:
    return RewardModel.load(checkpoint)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


def by_hand(folder: Path, turns: list[dict[str, str]]) -> tuple[Any, Any, float]:
    """Rewards, weights and score as the method's page gives them, on transformers' own backbone."""
    held = tensors(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    backbone = AutoModel.from_pretrained(folder).eval()
    prompt, whole = (
        tokenizer(tokenizer.apply_chat_template(part, tokenize=False), add_special_tokens=False, return_tensors="pt")
        for part in (turns[:-1], turns)
    )
    with torch.inference_mode():
        states = backbone(**whole).last_hidden_state[0]  # (tokens, d)
    rewards = held["regression_layer.weight"] @ states[-1]  # (k,)
    hidden = states[prompt["input_ids"].shape[-1] - 1]
    for number in range(4):
        hidden = held[f"gating.layers.{number}.weight"] @ hidden + held[f"gating.layers.{number}.bias"]
        hidden = hidden.relu() if number < 3 else (hidden / 10).softmax(dim=-1) * held["gating.logit_scale"]
    score = float((rewards @ held["reward_transform_matrix"]) @ hidden)
    return rewards, hidden, score


@pytest.mark.filterwarnings("ignore:.*UNEXPECTED")
def test_scores_are_the_pages_formula(checkpoint: Path, model: RewardModel) -> None:
    assert model.objectives == tuple(objective.name for objective in PUBLISHED_OBJECTIVES)
    for turns, scored in zip(SEVERAL, model.score(SEVERAL), strict=True):
        rewards, weights, score = by_hand(checkpoint, turns)
        np.testing.assert_allclose(scored.rewards, rewards, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(scored.weights, weights, rtol=1e-3, atol=1e-4)
        assert scored.score == pytest.approx(score, rel=1e-3, abs=1e-3)
        assert sum(scored.contributions.tolist()) == scored.score


def test_one_bad_conversation_spoils_no_batch(model: RewardModel) -> None:
    bad: list[Any] = [
        conversation("only a question"),
        conversation("question", "   "),
        conversation("question", "word " * 3000),
        conversation("question", "spelt <|eot_id|> out"),
        [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}],
        [{"role": "user", "content": [3]}, {"role": "assistant", "content": "y"}],
        [{"content": "x"}],
        [],
        "text",
    ]
    mixed = [SEVERAL[0], *bad, SEVERAL[2]]
    results = model.score_each(mixed)
    assert all(isinstance(result, NotScorableError) and str(result) for result in results[1:-1])
    alone = model.score([SEVERAL[0], SEVERAL[2]])
    for scored, expected in zip((results[0], results[-1]), alone, strict=True):
        assert isinstance(scored, Scored)
        assert scored.score == pytest.approx(expected.score, rel=1e-5)
    with pytest.raises(UserError, match=r"conversation 1 cannot be scored: .*assistant"):
        model.score(mixed)


def test_text_and_ids_that_are_templated_already(checkpoint: Path, model: RewardModel) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    for turns in SEVERAL:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        pad = tokenizer.pad_token_id
        shapes = [
            model.encode_text(text),
            model.encode_text(text.removeprefix(tokenizer.bos_token)),
            model.encode_text(tokenizer.pad_token * 2 + text + tokenizer.pad_token),
            model.encode_ids(ids),
            model.encode_ids([pad] * 3 + ids + [pad]),
        ]
        expected = model.encode(turns)
        for encoded in shapes:
            np.testing.assert_array_equal(encoded.prompt, expected.prompt)
            np.testing.assert_array_equal(encoded.responses[0], expected.responses[0])


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([], "empty"),
        ([0, 1, 2], "no assistant turn"),
        ([0.5], "whole numbers"),
        ([[0, 1]], "whole numbers"),
        ([-1], "no|not one"),
        ([10**9], "not one of the 8192"),
        ([0, 4, 2, 497, 4190, 3, 291, 4], "response is empty"),
        ([0, 0, 4, 2, 497, 4190, 3, 291, 700, 4], "two BOS"),
        ([0, 4, 2, 497, 4190, 3, 291, *[700] * 3000, 4], "more than max_tokens = 2048"),
    ],
)
def test_ids_that_are_no_conversation(model: RewardModel, ids: list[Any], reason: str) -> None:
    with pytest.raises(NotScorableError, match=reason):
        model.encode_ids(ids)


def test_the_explanation_sums_to_the_score(model: RewardModel) -> None:
    (scored,) = model.score(SEVERAL[:1])
    told = explanation(model.parts, scored, "a question", "an answer")
    assert [variable.name for variable in told.verbosity] == ["helpsteer-verbosity"]
    assert sum(term.contribution for term in told.objectives) == told.score
    assert told.score == scored.score


def test_other_numbers_of_objectives_are_numbered(tmp_path: Path) -> None:
    model = RewardModel.load(published_checkpoint(tmp_path / "checkpoint", objectives=3))
    assert model.objectives == ("objective-0", "objective-1", "objective-2")
    assert len(model.score(SEVERAL)) == 3  # in bfloat16, as its config.json says


def test_damage_is_named(checkpoint: Path, tmp_path: Path) -> None:
    def broken(name: str) -> Path:
        return Path(shutil.copytree(checkpoint, tmp_path / name))

    with pytest.raises(UserError, match=r"there is no .*config\.json"):
        RewardModel.load(tmp_path)
    folder = broken("config")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"gating_n_hidden": 2}))
    with pytest.raises(UserError, match="not as wide or deep"):
        RewardModel.load(folder)
    (folder / "config.json").write_text(
        json.dumps({key: value for key, value in config.items() if "num_obj" not in key})
    )
    with pytest.raises(UserError, match="has no num_objectives"):
        RewardModel.load(folder)
    for key, value in (("num_objectives", "many"), ("gating_hidden_dim", 10**9), ("gating_temperature", 0)):
        (folder / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(UserError, match="export or fetch the folder again"):
            RewardModel.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        RewardModel.load(folder)
    folder = broken("shard")
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(UserError, match="is cut or damaged"):
        RewardModel.load(folder)
    folder = broken("weights")
    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises((UserError, OSError), match="model-00001-of-00002"):
        RewardModel.load(folder)
