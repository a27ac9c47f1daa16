"""The exported folder, loaded by transformers alone, scores as the pipeline's own class does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import UserError
from export.reward_model import RewardModel
from tests.conftest import TINY
from tests.export.conftest import OBJECTIVES, SEVERAL, conversation
from tests.export.families import small_backbone, with_tokenizer

Folder = Callable[..., Path]


def loaded(folder: Path, **settings: Any) -> tuple[Any, Any]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True, **settings)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def templated(tokenizer: Any, conversations: list[list[dict[str, str]]]) -> Any:
    return tokenizer.apply_chat_template(conversations, padding=True, return_tensors="pt", return_dict=True)


@pytest.mark.parametrize("verbosity", ["long", "response_tokens", "none"])
@pytest.mark.parametrize("layers", [(-1,), (-1, 3, 0)])
def test_every_output_is_that_of_the_parts(random_folder: Folder, verbosity: str, layers: tuple[int, ...]) -> None:
    folder = random_folder(verbosity=verbosity, layers=layers)
    model, tokenizer = loaded(folder)
    with torch.inference_mode():
        output = model(**templated(tokenizer, SEVERAL))
    own = RewardModel.load(folder)
    expected = own.score(SEVERAL)
    assert output.logits.shape == (3, 1)
    assert output.score.shape == (3,)
    assert output.hidden_state.shape == output.prompt_embedding.shape == (3, 256 * len(layers))
    assert model.objectives == list(OBJECTIVES)
    for number, scored in enumerate(expected):
        np.testing.assert_allclose(output.rewards[number], scored.rewards, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(output.gating_output[number], scored.weights, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(output.logits[number, 0], scored.score, rtol=1e-3, atol=1e-4)
    assert len({round(scored.score, 4) for scored in expected}) == 3


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", ["<|pad|>", "<|eot_id|>"])
@pytest.mark.parametrize("masked", [True, False])
def test_padding_changes_nothing(random_folder: Folder, side: str, padding: str, masked: bool, tmp_path: Path) -> None:
    folder = random_folder(model=with_tokenizer(copied(tmp_path / "backbone"), pad_token=padding))
    model, tokenizer = loaded(folder)
    tokenizer.padding_side = side
    batch = templated(tokenizer, SEVERAL)
    assert (batch["attention_mask"] == 0).any()
    with torch.inference_mode():
        together = model(**batch) if masked else model(batch["input_ids"])
        alone = [model(templated(tokenizer, [one])) for one in SEVERAL]  # the mapping itself, as on the method's page
    for number, output in enumerate(alone):
        torch.testing.assert_close(together.logits[number], output.logits[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.gating_output[number], output.gating_output[0], rtol=1e-4, atol=1e-5)


def copied(folder: Path) -> Path:
    shutil.copytree(TINY, folder)
    return folder


def test_a_tokenizer_without_padding_gets_some(random_folder: Folder, tmp_path: Path) -> None:
    backbone = with_tokenizer(copied(tmp_path / "backbone"), pad_token=None)
    model, tokenizer = loaded(random_folder(model=backbone))
    assert tokenizer.pad_token == tokenizer.eos_token
    assert model.config.pad_token_id == tokenizer.eos_token_id
    model(**templated(tokenizer, SEVERAL))


@pytest.mark.parametrize(
    ("family", "template"), [("gemma2", "newline"), ("qwen3", "thinking"), ("mistral", "brackets")]
)
@pytest.mark.parametrize("position", ["end_of_turn", "last_token"])
def test_other_families_and_templates(
    random_folder: Folder, tmp_path: Path, family: str, template: str, position: str
) -> None:
    backbone = small_backbone(tmp_path / "backbone", family, template, bare=family == "mistral")
    folder = random_folder(model=backbone, position=position)
    model, tokenizer = loaded(folder)
    with torch.inference_mode():
        scores = model(**templated(tokenizer, SEVERAL)).logits[:, 0]
    expected = [scored.score for scored in RewardModel.load(folder).score(SEVERAL)]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_rounds_and_no_more(random_folder: Folder, dtype: torch.dtype, tolerance: float) -> None:
    folder = random_folder()
    (exact, tokenizer), (rounded, _) = loaded(folder), loaded(folder, dtype=dtype)
    assert rounded.model.embed_tokens.weight.dtype == dtype
    assert rounded.regression_layer.weight.dtype == rounded.gating.layers[0].weight.dtype == torch.float32
    assert rounded.reward_transform_matrix.dtype == torch.float32
    batch = templated(tokenizer, SEVERAL)
    with torch.inference_mode():
        one, other = exact(**batch), rounded(**batch)
    assert other.logits.dtype == torch.float32
    size = (one.gating_output * one.rewards.abs()).sum(dim=-1)
    assert ((one.score - other.score).abs() < tolerance * size).all()


def test_a_second_bos_changes_nothing(random_folder: Folder) -> None:
    model, tokenizer = loaded(random_folder())
    ids = templated(tokenizer, SEVERAL[:1])["input_ids"]
    with torch.inference_mode():
        doubled = model(torch.cat([torch.tensor([[tokenizer.bos_token_id]]), ids], dim=-1))
        torch.testing.assert_close(doubled.logits, model(ids).logits, rtol=1e-4, atol=1e-4)


def test_a_prompt_without_a_response_is_refused_by_its_place(random_folder: Folder) -> None:
    model, tokenizer = loaded(random_folder())
    batch = templated(tokenizer, [SEVERAL[0], conversation("And what of this?")])
    with pytest.raises(ValueError, match="conversation 1 of the batch has no assistant turn"):
        model(**batch)
    with pytest.raises(ValueError, match="conversation 0 of the batch is empty"):
        model(torch.full((1, 4), model.config.pad_token_id))


def test_a_score_that_is_not_finite_is_refused_by_its_place(random_folder: Folder) -> None:
    model, tokenizer = loaded(random_folder())
    batch = templated(tokenizer, [conversation("And what of this?", "That."), SEVERAL[0]])
    with torch.no_grad():
        model.regression_layer.weight.fill_(torch.finfo(torch.float32).max)
        with pytest.raises(ValueError, match="the score of conversation 0 of the batch is not finite"):
            model(**batch)
        model.train()
        assert not model(**batch).score.isfinite().all(), "a trainer's loss scaler sees overflow itself"


def test_the_end_of_the_prompt_can_be_given(random_folder: Folder) -> None:
    model, tokenizer = loaded(random_folder())
    batch = templated(tokenizer, SEVERAL[:1])
    prompt = tokenizer.apply_chat_template(SEVERAL[0][:1], return_tensors="pt", return_dict=True)["input_ids"]
    # A response that spells the header of a turn is cut there, unless the end of the prompt is given.
    header = tokenizer("<|start_header_id|>assistant<|end_header_id|>\n\n", add_special_tokens=False)["input_ids"]
    spoofed = torch.cat([batch["input_ids"], torch.tensor([[*header, 700, 4]])], dim=-1)
    with torch.inference_mode():
        true, searched = model(spoofed, prompt_lengths=torch.tensor([prompt.shape[-1]])), model(spoofed)
        plain = model(**batch)
    torch.testing.assert_close(true.gating_output, plain.gating_output, rtol=1e-4, atol=1e-5)
    assert (searched.gating_output - plain.gating_output).abs().max() > 1e-4


def test_keys_are_the_published_ones(random_folder: Folder) -> None:
    folder = random_folder(verbosity="response_tokens")
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    beside = sorted(name for name in index if not name.startswith("model."))
    layers = [f"gating.layers.{number}.{kind}" for number in range(3) for kind in ("bias", "weight")]
    assert beside == sorted(
        [*layers, "gating.logit_scale", "length_penalty", "regression_layer.weight", "reward_transform_matrix"]
    )
    stored = load_file(TINY / "model.safetensors")
    assert {name for name in index if name.startswith("model.")} == {
        name for name in stored if name != "lm_head.weight"
    }
    for name, value in load_file(folder / index["model.norm.weight"]).items():
        assert torch.equal(value, stored[name])


def test_links_take_no_room_and_score_the_same(random_folder: Folder) -> None:
    linked, own = random_folder(weights="link", name="linked"), random_folder()
    (link,) = [path for path in linked.iterdir() if path.is_symlink()]
    assert link.resolve() == (TINY / "model.safetensors").resolve()
    (one, tokenizer), (other, _) = loaded(linked), loaded(own)
    batch = templated(tokenizer, SEVERAL)
    with torch.inference_mode():
        assert torch.equal(one(**batch).logits, other(**batch).logits)


def test_kernels_that_the_backbone_names_are_not_passed_on(random_folder: Folder, tmp_path: Path) -> None:
    backbone = small_backbone(tmp_path / "backbone", "llama")
    path = backbone / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_attn_implementation": "evil/kernel"}))
    folder = random_folder(model=backbone)
    assert "evil" not in (folder / "config.json").read_text()
    model, tokenizer = loaded(folder)
    model(**templated(tokenizer, SEVERAL))


def test_what_cannot_be_linked_is_said(random_folder: Folder, tmp_path: Path) -> None:
    backbone = small_backbone(tmp_path / "backbone", "llama", bare=True)
    with pytest.raises(UserError, match=r"has to be called model\..*use --weights copy"):
        random_folder(model=backbone, weights="link")
    assert not list(tmp_path.glob("model*"))


def test_nothing_else_is_overwritten(random_folder: Folder, tmp_path: Path) -> None:
    folder = random_folder()
    assert random_folder() == folder  # an earlier export is
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="was not written by `armorm export`"):
        random_folder(name="other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "years of work"


def test_a_saved_copy_loads_again(random_folder: Folder, tmp_path: Path) -> None:
    model, tokenizer = loaded(random_folder(verbosity="response_tokens"))
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    again, _ = loaded(tmp_path / "again")
    batch = templated(tokenizer, SEVERAL)
    with torch.inference_mode():
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits)
