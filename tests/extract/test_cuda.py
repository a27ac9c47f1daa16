"""On a GPU: the packed engine in bfloat16 is as near to float32 as one sequence at a time is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import features_by_key

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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_packed_half_precision_is_as_near_to_float32_as_one_at_a_time(
    tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request], dtype: str
) -> None:
    half = tiny_settings.model_copy(update={"dtype": dtype})
    request = make_request(seed=2, prompts=40)
    expected = features_by_key(SequentialEngine(tiny, tiny_settings, ExtractSettings(), GPU), request, 2048)
    packed = features_by_key(PackedEngine(tiny, half, ExtractSettings(), GPU), request, 2048)
    alone = features_by_key(SequentialEngine(tiny, half, ExtractSettings(), GPU), request, 2048)
    assert mean_error(packed, expected) < 1.2 * mean_error(alone, expected)
