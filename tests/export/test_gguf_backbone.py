"""A reward model on a GGUF backbone is exported as plain safetensors, and scores as the GGUF does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cache import UserError
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.settings import BackboneSettings, ExtractSettings
from tests.export.conftest import SEVERAL, write_random_folder
from tests.extract.gguf_writer import FILE, TEMPLATE, small_llama, write_gguf


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf"), packed=True)


def test_the_folder_holds_the_unpacked_weights_and_the_files_tokenizer(gguf: Path, tmp_path: Path) -> None:
    out = write_random_folder(tmp_path / "out", model=gguf, gguf_file=FILE, max_tokens=256)
    settings = BackboneSettings(model=str(gguf), gguf_file=FILE, dtype="float32", max_tokens=256)
    backbone = find_backbone(settings)
    held = backbone.load(settings, torch.device("cpu"), None).state_dict()
    (path,) = out.glob("backbone-*.safetensors")
    written = load_file(path)
    assert (
        written.keys() == {f"model.{name}" for name in held} == {f"model.{name}" for name in small_llama().state_dict()}
    )
    for name, tensor in held.items():
        torch.testing.assert_close(written[f"model.{name}"], tensor, rtol=0, atol=0)
    assert not list(out.glob("*.gguf"))
    assert "quantization_config" not in (out / "config.json").read_text()
    assert (out / "chat_template.jinja").read_text().endswith(TEMPLATE)
    model = RewardModel.load(out, device="cpu")
    parts = RewardModel.of_parts(out, model.config, model.parts, backbone, settings, ExtractSettings(device="cpu"))
    scores = [[one.score for one in each.score(SEVERAL)] for each in (model, parts)]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_packed_weights_cannot_be_linked(gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"are packed and cannot be linked: use --weights copy"):
        write_random_folder(tmp_path / "out", model=gguf, gguf_file=FILE, max_tokens=256, weights="link")
