"""Chat templates of all shapes in an exported folder: read there by us and by transformers alike, on every day."""

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.utils.chat_template_utils as transformers_templates
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from export.reward_config import RewardConfig, run_config
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.settings import BackboneSettings
from heads.objectives import Scale
from tests.conftest import TINY
from tests.export.conftest import OBJECTIVES, SEVERAL, random_parts
from tests.export.families import with_tokenizer
from tests.extract.chat_templates import NO_SYSTEM, USABLE

HEADER = "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
PLAIN = "{{ bos_token }}{% for m in messages %}" + HEADER + "{{ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
TEMPLATES = {
    "plain": PLAIN,
    "dated": USABLE["dated"].template,
    "parts": "{{ bos_token }}{% for m in messages %}" + HEADER + "{% for part in m['content'] %}{{ part['text'] }}"
    "{% endfor %}{{ '<|eot_id|>' }}{% endfor %}",
    "always open": USABLE["always open"].template,
    "end of text after the turn": PLAIN + "{% if not add_generation_prompt %}{{ '<|pad|>' }}{% endif %}",
}
"""Templates whose markers are tokens of the bundled backbone."""


def folder_with(random_folder: Callable[..., Path], tmp_path: Path, template: str, **settings: Any) -> Path:
    path = tmp_path / "template.jinja"
    path.write_text(template)
    return random_folder(chat_template=path, **settings)


def by_transformers(
    folder: Path, conversations: list[list[dict[str, str]]] = SEVERAL, *, mask: bool = True
) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer.apply_chat_template(conversations, padding=True, return_tensors="pt", return_dict=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    with torch.inference_mode():
        scores: torch.Tensor = model(**(batch if mask else {"input_ids": batch["input_ids"]})).logits[:, 0]
    return scores


@pytest.mark.parametrize("name", TEMPLATES)
def test_transformers_scores_a_folder_as_we_do(random_folder: Callable[..., Path], tmp_path: Path, name: str) -> None:
    folder = folder_with(random_folder, tmp_path, TEMPLATES[name])
    ours = torch.tensor([one.score for one in RewardModel.load(folder).score(SEVERAL)])
    for mask in (True, False):
        torch.testing.assert_close(by_transformers(folder, mask=mask), ours.float(), rtol=1e-4, atol=1e-4)


def test_text_of_a_policy_has_the_score_of_its_conversation(random_folder: Callable[..., Path], tmp_path: Path) -> None:
    """It ends with the closing token, and not with the header that the template opens after it."""
    model = RewardModel.load(folder_with(random_folder, tmp_path, TEMPLATES["always open"]))
    tokenizer = AutoTokenizer.from_pretrained(model.folder)
    for conversation, scored in zip(SEVERAL, model.score(SEVERAL), strict=True):
        text = tokenizer.apply_chat_template(conversation, tokenize=False)
        opened = "<|start_header_id|>assistant<|end_header_id|>\n\n"
        assert text.endswith(opened)
        for given in (text, text.removesuffix(opened), text.rstrip()):
            (again,) = model.score_encoded([model.encode_text(given)])
            assert again.score == pytest.approx(scored.score, rel=1e-5)  # type: ignore[union-attr]


def test_a_dated_folder_scores_alike_on_every_day(
    random_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(random_folder, tmp_path, TEMPLATES["dated"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    now = tokenizer.apply_chat_template(SEVERAL[0], tokenize=False)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":  # noqa: ARG003 - as datetime has it
            return cls(2031, 5, 17)

    monkeypatch.setattr(transformers_templates, "datetime", Clock)
    assert tokenizer.apply_chat_template(SEVERAL[0], tokenize=False) == now
    assert "26 Jul 2024" in now


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_folder_folds_system_turns_for_every_reader(
    random_folder: Callable[..., Path], tmp_path: Path, role: str
) -> None:
    """The class, our own reader and the tokenizer alone."""
    folder = folder_with(random_folder, tmp_path, NO_SYSTEM + PLAIN, system_turns="fold")
    told = [[{"role": role, "content": "Be brief."}, *conversation] for conversation in SEVERAL]
    folded = [
        [conversation[0] | {"content": f"Be brief.\n\n{conversation[0]['content']}"}, *conversation[1:]]
        for conversation in SEVERAL
    ]
    model = RewardModel.load(folder)
    assert [one.score for one in model.score(told)] == [one.score for one in model.score(folded)]
    ours = torch.tensor([one.score for one in model.score(told)])
    torch.testing.assert_close(by_transformers(folder, told), ours.float(), rtol=1e-4, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for with_turn, without in zip(told, folded, strict=True):
        encoded = model.encode(with_turn)
        whole = [*encoded.prompt.tolist(), *encoded.responses[0].tolist()]
        assert tokenizer.apply_chat_template(with_turn, return_dict=True)["input_ids"] == whole
        assert tokenizer.apply_chat_template(without, return_dict=True)["input_ids"] == whole


@pytest.mark.parametrize("given", [{"pad_token": None, "eos_token": None}, {"pad_token": "[PAD]"}])
def test_another_token_pads_where_the_tokenizers_is_missing_or_unknown(
    random_folder: Callable[..., Path], tmp_path: Path, given: dict[str, str | None]
) -> None:
    backbone = tmp_path / "backbone"
    shutil.copytree(TINY, backbone)
    with_tokenizer(backbone, **given)
    if given["pad_token"] is not None:  # added without an embedding
        path = backbone / "tokenizer.json"
        values = json.loads(path.read_text())
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        values["added_tokens"].append({"id": 8192, "content": "[PAD]", "special": True} | flags)
        path.write_text(json.dumps(values))
    folder = random_folder(model=backbone)
    padding = json.loads((folder / "config.json").read_text())["pad_token_id"]
    assert padding == AutoTokenizer.from_pretrained(folder).pad_token_id
    assert 0 <= padding < 8192
    ours = torch.tensor([one.score for one in RewardModel.load(folder).score(SEVERAL)])
    torch.testing.assert_close(by_transformers(folder), ours.float(), rtol=1e-4, atol=1e-4)


def test_the_folder_says_what_the_template_does(tmp_path: Path) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(TEMPLATES["dated"])
    settings = BackboneSettings(model=str(TINY), max_tokens=512, chat_template=path)
    scales = {name: Scale(low=0, high=4) for name in OBJECTIVES}
    config = run_config(random_parts(256, "long"), scales, settings, find_backbone(settings))
    assert config.template is not None
    assert config.template.date == "2024-07-26"
    assert RewardConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config
