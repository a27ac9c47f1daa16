"""One sentence refuses whatever vLLM cannot do, before any row is computed."""

from pathlib import Path

import pytest
import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines.vllm_engine import VllmEngine
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import small_backbone
from tests.extract.vllm.conftest import VLLM_WARNINGS, started

pytestmark = VLLM_WARNINGS


def test_another_release_is_refused(
    tiny: Backbone, tiny_settings: BackboneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vllm

    monkeypatch.setattr(vllm, "__version__", "0.33.1")
    with pytest.raises(UserError, match=r"vllm 0\.33\.1 is installed, and this engine needs 0\.32:.*'packed'"):
        VllmEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu"))


def test_a_device_that_this_build_does_not_run_on_is_refused(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    with pytest.raises(UserError, match=r"extract\.device is cuda, and the vllm that is installed runs on cpu"):
        VllmEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cuda"))


def test_more_tokens_than_the_backbone_has_positions_are_refused(
    tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    longer = tiny_settings.model_copy(update={"max_tokens": 4096})
    with (
        pytest.raises(UserError, match=r"vLLM cannot run .*tiny as the recipe says: .*4096.*2048.*'packed'"),
        started(tiny, longer),
    ):
        pass


def test_a_dtype_that_the_family_does_not_bear_is_refused(tmp_path: Path, tiny: Backbone) -> None:
    backbone = small_backbone(tmp_path, tiny, "gemma2", head_dim=32)
    settings = BackboneSettings(model=str(tmp_path), dtype="float16", max_tokens=512)
    with pytest.raises(UserError, match=r"vLLM cannot run .*float16"), started(backbone, settings):
        pass


def test_a_head_size_that_the_build_lacks_is_refused(tmp_path: Path, tiny: Backbone) -> None:
    backbone = small_backbone(tmp_path, tiny, "llama", head_dim=16)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    with pytest.raises(UserError, match=r"vLLM cannot run .*head_dim=16"), started(backbone, settings):
        pass
