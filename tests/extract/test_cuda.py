"""On a GPU: the packed engine in bfloat16 is as near to float32 as one sequence at a time is."""

import gc
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.engines.packed_attention import SegmentPlan, packed_attention, varlen_plan
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import features_by_key, small_backbone

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

GPU = torch.device("cuda")


def mean_error(got: dict[bytes, np.ndarray], expected: dict[bytes, np.ndarray]) -> float:
    return float(
        np.mean([np.linalg.norm(got[key] - expected[key]) / np.linalg.norm(expected[key]) for key in expected])
    )


def test_packed_float32_on_the_gpu_equals_the_cpu(
    tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    request = make_request(seed=1, prompts=25)
    expected = features_by_key(
        SequentialEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu")), request, 2048
    )
    got = features_by_key(PackedEngine(tiny, tiny_settings, ExtractSettings(), GPU), request, 2048)
    assert mean_error(got, expected) < 1e-5


@pytest.mark.parametrize(("dtype", "compiled"), [("bfloat16", "never"), ("float16", "never"), ("bfloat16", "always")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_packed_half_precision_is_as_near_to_float32_as_one_at_a_time(
    tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request], dtype: str, compiled: str
) -> None:
    half = tiny_settings.model_copy(update={"dtype": dtype})
    request = make_request(seed=2, prompts=20)
    expected = features_by_key(SequentialEngine(tiny, tiny_settings, ExtractSettings(), GPU), request, 2048)
    settings = ExtractSettings.model_validate({"compile": compiled, "pack_tokens": 1024})
    packed = features_by_key(PackedEngine(tiny, half, settings, GPU), request, 1024)
    alone = features_by_key(SequentialEngine(tiny, half, ExtractSettings(), GPU), request, 2048)
    assert mean_error(packed, expected) < 1.2 * mean_error(alone, expected)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("qwen3", {}),
        ("mistral", {"sliding_window": 24}),
        ("gemma2", {"attn_logit_softcapping": 5.0, "sliding_window": 24}),
    ],
)
def test_other_families_in_bfloat16(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], family: str, more: dict[str, object]
) -> None:
    backbone = small_backbone(tmp_path, tiny, family, **more)
    whole = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    half = whole.model_copy(update={"dtype": "bfloat16"})
    request = make_request(seed=4, prompts=20, longest=60)
    expected = features_by_key(SequentialEngine(backbone, whole, ExtractSettings(), GPU), request, 512)
    packed = features_by_key(PackedEngine(backbone, half, ExtractSettings(compile="never"), GPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, half, ExtractSettings(), GPU), request, 512)
    assert mean_error(packed, expected) < 1.2 * mean_error(alone, expected)


@pytest.mark.parametrize("window", [None, 5, 24, 1000])
def test_the_kernel_sees_what_one_call_a_segment_sees(make_request: Callable[..., Request], window: int | None) -> None:
    request = make_request(seed=7, prompts=12)
    layout = request.layout(request.plan({key.tobytes() for key in request.keys()}, 2048)[0])
    generator = torch.Generator(GPU).manual_seed(0)
    shape = (len(layout.token_ids), 64)
    query = torch.randn(1, 8, *shape, generator=generator, device=GPU)
    key, value = (torch.randn(1, 2, *shape, generator=generator, device=GPU) for _ in range(2))
    varlen = varlen_plan(layout.segments).moved(lambda tensor: tensor.to(GPU))
    got, _ = packed_attention(
        torch.nn.Identity(), query.bfloat16(), key.bfloat16(), value.bfloat16(), None, 0.125, window, packing=varlen
    )
    expected, _ = packed_attention(
        torch.nn.Identity(), query, key, value, None, 0.125, window, packing=SegmentPlan(layout.segments, {})
    )
    assert float((got.float() - expected).norm() / expected.norm()) < 0.01


def test_segments_are_attended_to_one_by_one_in_bfloat16_too(make_request: Callable[..., Request]) -> None:
    """As families with capped scores are, and any device without the kernel: masks are corners of a larger one."""
    request = make_request(seed=7, prompts=12)
    layout = request.layout(request.plan({key.tobytes() for key in request.keys()}, 2048)[0])
    plan = SegmentPlan(layout.segments, {})
    generator = torch.Generator(GPU).manual_seed(0)
    query, key, value = (torch.randn(1, 4, len(layout.token_ids), 64, generator=generator, device=GPU) for _ in "qkv")
    expected, _ = packed_attention(torch.nn.Identity(), query, key, value, None, 0.125, packing=plan)
    half = (states.bfloat16() for states in (query, key, value))
    got, _ = packed_attention(torch.nn.Identity(), *half, None, 0.125, packing=SegmentPlan(layout.segments, {}))
    assert float((got.float() - expected).norm() / expected.norm()) < 0.01


def test_a_pack_that_does_not_fit_is_halved(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    caplog: pytest.LogCaptureFixture,
) -> None:
    half = tiny_settings.model_copy(update={"dtype": "bfloat16"})
    request = make_request(seed=5, prompts=400)
    extract = ExtractSettings(pack_tokens=32_768, compile="never")
    engine = PackedEngine(tiny, half, extract, GPU)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    expected = features_by_key(engine, request, 32_768)
    needed = torch.cuda.max_memory_allocated() - held
    gc.collect()
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 0.6 * needed) / whole)
    try:
        with caplog.at_level(logging.WARNING, logger="extract.engines.packed"):
            got = features_by_key(engine, request, 32_768)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory with" in caplog.text
    assert mean_error(got, expected) < 0.03
