"""Without the package vllm the engine says how to get it, and nothing else notices that it is not there."""

import subprocess
import sys
import tomllib

import pytest
import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines import ENGINES
from extract.engines.vllm_installation import TESTED
from extract.settings import BackboneSettings, ExtractSettings
from tests.conftest import ROOT

CPU = torch.device("cpu")


def test_the_sentence_says_how_to_install_it(
    tiny: Backbone, tiny_settings: BackboneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # missing, also where it is installed
    with pytest.raises(UserError) as refused:
        ENGINES["vllm"](tiny, tiny_settings, ExtractSettings(), CPU)
    assert str(refused.value) == (
        "extract.engine: 'vllm' needs the package vllm, which is not installed:"
        " run `pip install -e '.[vllm]'`, or use 'packed'"
    )


@pytest.mark.parametrize("layers", [(-1, -4), (3,), (7,)])
def test_layers_that_vllm_does_not_give_are_refused_before_anything_is_loaded(
    tiny: Backbone, tiny_settings: BackboneSettings, layers: tuple[int, ...]
) -> None:
    settings = tiny_settings.model_copy(update={"layers": layers})
    with pytest.raises(UserError, match=r"backbone\.layers is \[.*\], and vLLM gives only the last layer's states"):
        ENGINES["vllm"](tiny, settings, ExtractSettings(), CPU)


def test_the_extra_has_the_range_that_the_engine_checks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    major, minor = map(int, TESTED.split("."))
    assert project["optional-dependencies"]["vllm"] == [f"vllm>={TESTED},<{major}.{minor + 1}"]


def test_importing_the_engines_imports_no_vllm() -> None:
    program = "import sys; import extract.engines; sys.exit('vllm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
