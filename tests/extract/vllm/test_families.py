"""Families with sliding windows, normed queries and capped attention scores agree as well.

The models are small and random: vLLM's CPU kernels have no heads of 16, so theirs have 32.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from extract.backbone import Backbone
from extract.packing import Request
from extract.settings import BackboneSettings
from tests.extract.test_engines import features_by_key, relative_difference, small_backbone
from tests.extract.vllm.conftest import VLLM_WARNINGS, other_engine, started

pytestmark = VLLM_WARNINGS


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("qwen3", {}),
        ("mistral", {"sliding_window": 24}),
        ("gemma2", {"attn_logit_softcapping": 50.0, "sliding_window": 24, "query_pre_attn_scalar": 32}),
    ],
)
def test_other_families_agree_too(
    tmp_path: Path,
    tiny: Backbone,
    make_request: Callable[..., Request],
    family: str,
    more: dict[str, object],
) -> None:
    backbone = small_backbone(tmp_path, tiny, family, **more, head_dim=32)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=4, prompts=6, longest=60)
    with started(backbone, settings) as engine:
        got = features_by_key(engine, request, 512)
    expected = features_by_key(other_engine("sequential", backbone, settings), request, 512)
    assert relative_difference(got, expected) < 1e-5
