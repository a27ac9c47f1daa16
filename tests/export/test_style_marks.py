"""Marks of style in a response give the same score in an exported folder, in `RewardModel` and by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import UserError
from export.reward_config import read_config
from export.reward_model import RewardModel
from export.reward_tensors import read_reward_parts
from extract.style import style_counts
from gating.measured import Measured
from gating.profile import Profile
from tests.export.conftest import conversation, write_random_folder
from tests.export.families import small_backbone
from tests.export.server_process import serving

Folder = Callable[..., Path]

ALL = ("response_tokens", "markdown", "lists", "code_fences", "long")
STYLED = [
    conversation("How?", "# Two ways\n\n1. **One**\n2. Two\n\n```python\n# no\n```\n\n- first\n  - second"),
    conversation("How?", "Like this, **mostly**."),
    conversation("Hello", "- Hi", "And now?", "```\r\n- no\r\n```\r\n* yes"),
    conversation("Hello", "    # not too far to the right"),
]


def loaded(folder: Path) -> tuple[torch.nn.Module, AutoTokenizer]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def scores_of(folder: Path, side: str = "right", **more: torch.Tensor) -> list[float]:
    model, tokenizer = loaded(folder)
    tokenizer.padding_side = side
    batch = tokenizer.apply_chat_template(STYLED, padding=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        scores: list[float] = model(**batch, **more).logits[:, 0].tolist()
    return scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose rewards are corrected by every measured variable and an objective."""
    return write_random_folder(tmp_path_factory.mktemp("styled") / "model", verbosity=ALL)


@pytest.fixture(scope="module")
def own(folder: Path) -> RewardModel:
    return RewardModel.load(folder, device="cpu")


def test_class_and_reward_model_give_the_score_that_the_texts_give(folder: Path, own: RewardModel) -> None:
    assert own.config.verbosity == ALL
    scored = own.score(STYLED)
    for one, turns in zip(scored, STYLED, strict=True):
        measured = Measured.of_response(one.response_tokens, turns[-1]["content"])
        by_hand = own.parts.score(one.rewards, one.weights, one.prompt_tokens, measured)
        assert one.score == by_hand.score
        plain = own.parts.score(one.rewards, one.weights, one.prompt_tokens, Measured.of_response(1, ""))
        assert one.score != plain.score
    for side in ("left", "right"):
        np.testing.assert_allclose(scores_of(folder, side), [one.score for one in scored], rtol=1e-3, atol=1e-4)


def test_marks_can_be_given_in_place_of_being_counted(folder: Path, own: RewardModel) -> None:
    marks = torch.tensor([style_counts(turns[-1]["content"]) for turns in STYLED])
    assert scores_of(folder, style_marks=marks) == scores_of(folder)
    others = scores_of(folder, style_marks=marks + 1)
    for score, one, counts in zip(others, own.score(STYLED), (marks + 1).numpy(), strict=True):
        measured = Measured(np.array([one.response_tokens]), counts[None])
        expected = own.parts.score(one.rewards, one.weights, one.prompt_tokens, measured).score
        assert score == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_text_and_token_ids_are_read_as_conversations_are(own: RewardModel) -> None:
    expected = [one.score for one in own.score(STYLED)]
    tokenizer = own.markers.tokenizer
    texts = [tokenizer.apply_chat_template(turns, tokenize=False) for turns in STYLED]
    ids = [tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"] for turns in STYLED]
    for encoded in ([own.encode_text(text) for text in texts], [own.encode_ids(row) for row in ids]):
        assert [getattr(one, "score", one) for one in own.score_encoded(encoded)] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "template"), [("gemma2", "newline"), ("qwen3", "thinking"), ("mistral", "brackets")]
)
@pytest.mark.parametrize("position", ["end_of_turn", "last_token"])
def test_other_families_and_templates(
    random_folder: Folder, tmp_path: Path, family: str, template: str, position: str
) -> None:
    backbone = small_backbone(tmp_path / "backbone", family, template, bare=family == "mistral")
    folder = random_folder(model=backbone, position=position, verbosity=ALL)
    own = RewardModel.load(folder)
    for turns in STYLED:
        encoded = own.encode(turns)
        assert style_counts(own.markers.text_of(encoded.responses[0])) == style_counts(turns[-1]["content"])
    np.testing.assert_allclose(scores_of(folder), [one.score for one in own.score(STYLED)], rtol=1e-3, atol=1e-4)


PIECES = ["# ", "## H", "**b**", "__c__", "- ", "* x", "1. ", "```", "~~~", "word", " ", "\t", "\n", "\r\n", "é", "猫"]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join).filter(lambda text: text.strip() != ""))
def test_token_ids_give_back_the_marks_of_any_text(own: RewardModel, text: str) -> None:
    encoded = own.encode(conversation("Hello", text))
    assert style_counts(own.markers.text_of(encoded.responses[0])) == style_counts(text)


def test_only_the_variables_that_are_taken_out_are_stored(random_folder: Folder) -> None:
    folder = random_folder(verbosity=("lists", "long"))
    model, _ = loaded(folder)
    assert {name for name in model.state_dict() if name.endswith("_penalty")} == {"lists_penalty"}
    own = RewardModel.load(folder)
    parts = read_reward_parts(folder, own.config, read_config(folder)[1], 256)
    assert parts.transform.variables(own.objectives) == ("lists", "long")
    np.testing.assert_allclose(scores_of(folder), [one.score for one in own.score(STYLED)], rtol=1e-3, atol=1e-4)


def test_a_profile_steers_what_is_left(own: RewardModel) -> None:
    (scored,) = own.score(STYLED[:1], profile=Profile(weights={"kind": 2.0}))
    assert scored.score == sum(scored.contributions.tolist())
    assert scored.contributions == pytest.approx(scored.coefficients * scored.adjusted, rel=1e-9, abs=1e-9)


def test_a_saved_copy_reads_its_own_tokenizer(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = loaded(folder)
    model.save_pretrained(tmp_path / "again")
    with pytest.raises(ValueError, match="has no tokenizer to read them with: set"):
        scores_without_tokenizer(tmp_path / "again", tokenizer)
    tokenizer.save_pretrained(tmp_path / "again")
    assert scores_of(tmp_path / "again") == scores_of(folder)


def scores_without_tokenizer(folder: Path, tokenizer: AutoTokenizer) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    model(**tokenizer.apply_chat_template(STYLED[:1], return_tensors="pt", return_dict=True))


def test_a_tokenizer_that_loses_marks_is_refused(random_folder: Folder, tmp_path: Path) -> None:
    backbone = small_backbone(tmp_path / "backbone", "llama")
    path = backbone / "tokenizer.json"
    values = json.loads(path.read_text())
    values["normalizer"] = {"type": "Replace", "pattern": {"String": "*"}, "content": ""}
    path.write_text(json.dumps(values))
    RewardModel.load(random_folder(model=backbone, verbosity="response_tokens", name="length"))
    with pytest.raises(UserError, match="does not give back the Markdown of a response"):
        RewardModel.load(random_folder(model=backbone, verbosity=("markdown", "long"), name="marks"))


def test_the_server_gives_the_same_scores(folder: Path, own: RewardModel, tmp_path: Path) -> None:
    asked = [{"messages": turns} for turns in STYLED]
    with serving(folder, tmp_path / "server") as served, served.client() as client:
        told = client.post("/v1/rewards", json={"conversations": asked})
        texts = [own.markers.tokenizer.apply_chat_template(turns, tokenize=False) for turns in STYLED]
        plain = client.post("/get_reward", json={"query": texts})
    assert told.status_code == plain.status_code == 200, told.text + plain.text
    scores = [answer["responses"][0]["score"] for answer in told.json()["conversations"]]
    expected = [one.score for one in own.score(STYLED)]
    assert scores == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert plain.json()["rewards"] == pytest.approx(expected, rel=1e-5, abs=1e-6)
