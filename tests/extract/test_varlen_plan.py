"""The plan for CUDA's variable-length kernel says the same as one attention call a segment.

The kernel itself needs a GPU (test_cuda.py); here a plain implementation of what its documentation promises takes
its place.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from extract.engines import packed_attention
from extract.engines.packed_attention import SegmentPlan, VarlenPlan
from extract.packing import Request


def documented_varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool = False,
) -> Tensor:
    """Each sequence by itself, the mask aligned at the lower right; (tokens, heads, d) in and out."""
    output = torch.empty_like(query)
    for number in range(len(cu_seq_q) - 1):
        queries = slice(int(cu_seq_q[number]), int(cu_seq_q[number + 1]))
        keys = slice(int(cu_seq_k[number]), int(cu_seq_k[number + 1]))
        q, k, v = (t.transpose(0, 1)[None] for t in (query[queries], key[keys], value[keys]))
        assert q.shape[2] <= max_q
        assert k.shape[2] <= max_k
        distance = torch.arange(k.shape[2])[None] - torch.arange(q.shape[2])[:, None] - (k.shape[2] - q.shape[2])
        left, right = window_size
        seen = distance <= right if left < 0 else (distance <= right) & (distance >= -left)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale, enable_gqa=True)
        output[queries] = attended[0].transpose(0, 1)
    return output


@pytest.mark.parametrize("window", [None, 5, 24, 1000])
def test_one_call_for_all_segments_equals_one_call_a_segment(
    monkeypatch: pytest.MonkeyPatch, make_request: Callable[..., Request], window: int | None
) -> None:
    monkeypatch.setattr(packed_attention, "varlen_attn", documented_varlen_attn)
    request = make_request(seed=7, prompts=8)
    (pack, *_) = request.plan({key.tobytes() for key in request.keys()}, 1024)
    layout = request.layout(pack)
    tokens = len(layout.token_ids)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, tokens, 16, generator=generator)
    key, value = (torch.randn(1, 2, tokens, 16, generator=generator) for _ in range(2))
    varlen = packed_attention.varlen_plan(layout.segments)
    assert isinstance(varlen, VarlenPlan)
    outputs = [
        packed_attention.packed_attention(
            torch.nn.Identity(), query, key, value, None, scaling=0.25, sliding_window=window, packing=plan
        )[0]
        for plan in (varlen, SegmentPlan(layout.segments, {}))
    ]
    assert outputs[0].shape == (1, tokens, 4, 16)
    assert torch.allclose(outputs[0], outputs[1], atol=1e-5)
