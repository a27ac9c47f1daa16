"""The check of an export: what transformers makes of the folder, in a process of its own, and what we make of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cache import UserError
from export import agreement, folder_scores
from export.agreement import CONVERSATIONS, FolderScores, check_folder, scores_by_transformers
from export.reward_model import RewardModel
from tests.export.family_models import LLAMA_3, NEOX, Family

CPU = torch.device("cpu")
Folder = Callable[..., Path]


@pytest.fixture
def folder(random_folder: Folder, tmp_path: Path) -> Path:
    """An export of a small GPT-NeoX, whose weights have a prefix of their own, and whose template writes no BOS."""
    return random_folder(model=Family("small", "gpt_neox", NEOX).write(tmp_path / "backbone"))


@pytest.mark.slow  # the exports of the demo do the same
def test_the_exported_class_scores_in_another_process_as_we_do(folder: Path) -> None:
    expected = RewardModel.load(folder).score(CONVERSATIONS)
    assert check_folder(folder, expected, "float32", CPU) < 1e-5


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the process was ended by SIGKILL"),
        ("raise ValueError('no such attention')", "ValueError: no such attention"),
    ],
)
def test_a_process_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    (tmp_path / "script.py").write_text(script)
    monkeypatch.setattr(folder_scores, "__file__", str(tmp_path / "script.py"))
    with pytest.raises(UserError, match=rf"transformers cannot run the exported model .{said}.*--no-check") as refusal:
        scores_by_transformers(tmp_path, "float32", CPU)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("wrong", [0.1, float("nan")])
def test_a_difference_by_transformers_or_by_us_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    expected = RewardModel.load(folder).score(CONVERSATIONS)
    scores = [one.score for one in expected]
    right, other = FolderScores(scores, []), FolderScores([*scores[:2], scores[2] + wrong], [])
    monkeypatch.setattr(agreement, "scores_by_transformers", lambda *_: [right, other])
    with pytest.raises(UserError, match="loaded with transformers, the exported model scores otherwise"):
        check_folder(folder, expected, "float32", CPU)
    monkeypatch.setattr(agreement, "scores_by_transformers", lambda *_: [right, right])
    monkeypatch.setattr(RewardModel, "score", lambda *_: [replace(one, score=one.score + wrong) for one in expected])
    with pytest.raises(UserError, match=r"^the exported model scores otherwise"):
        check_folder(folder, expected, "float32", CPU)


def test_weights_have_the_familys_names_so_that_links_need_no_others(random_folder: Folder, tmp_path: Path) -> None:
    backbone = Family("small", "gpt_neox", NEOX).write(tmp_path / "backbone")
    linked = random_folder(model=backbone, weights="link", name="linked")
    assert RewardModel.load(linked).score(CONVERSATIONS)
    names = json.loads((linked / "model.safetensors.index.json").read_text())["weight_map"]
    assert "gpt_neox.embed_in.weight" in names


def test_a_folder_of_version_0_1_still_loads(folder: Path) -> None:
    """It had every family's weights below `model.`, and said neither the engine nor the width of a feature."""
    from safetensors.torch import load_file, save_file

    expected = [one.score for one in RewardModel.load(folder).score(CONVERSATIONS)]
    index = folder / "model.safetensors.index.json"
    files = json.loads(index.read_text())
    files["weight_map"] = {name.replace("gpt_neox.", "model.", 1): file for name, file in files["weight_map"].items()}
    index.write_text(json.dumps(files))
    (path,) = folder.glob("backbone-*.safetensors")
    tensors = {name.replace("gpt_neox.", "model.", 1): tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    for key in ("engine", "features"):
        config["armorm"].pop(key)
    (folder / "config.json").write_text(json.dumps(config))
    assert [one.score for one in RewardModel.load(folder).score(CONVERSATIONS)] == expected


def test_the_folder_says_which_engine_and_packing_gives_way_without_it(
    random_folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backbone = Family("small", "nemotron", LLAMA_3).write(tmp_path / "backbone")
    folder = random_folder(model=backbone)
    by_itself = [one.score for one in RewardModel.load(folder).score(CONVERSATIONS)]
    assert "NemotronAttention does not hand the packing on to its attention: running padded batches" in caplog.text
    caplog.clear()
    config = json.loads((folder / "config.json").read_text())
    config["armorm"]["engine"] = "padded"
    (folder / "config.json").write_text(json.dumps(config))
    assert [one.score for one in RewardModel.load(folder).score(CONVERSATIONS)] == by_itself
    assert "padded" not in caplog.text


def test_a_template_without_bos_gets_the_one_that_the_tokenizer_adds(folder: Path) -> None:
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder).apply_chat_template(list(CONVERSATIONS[0]))["input_ids"]
    encoded = RewardModel.load(folder).encode(CONVERSATIONS[0])
    assert ids == [*encoded.prompt, *encoded.responses[0]]
    assert ids.count(0) == 1
