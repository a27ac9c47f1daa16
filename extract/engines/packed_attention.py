"""Attention over a packed row: each segment sees its prefix and, causally, itself.

Three ways to the same numbers: one `varlen_attn` call for all segments, on CUDA in bfloat16 or float16; one
`scaled_dot_product_attention` call a segment, on any device and in any dtype; and, for families that cap
their scores (Gemma 2), the formula written out, since neither of the two knows a cap.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from cache import UserError
from extract.packing import PackLayout, Segment

NAME = "armorm_packed"
"""Under which transformers knows this attention."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentPlan:
    """The segments of a pack, one attention call each."""

    segments: tuple[Segment, ...]
    masks: dict[tuple[int, int, int], Tensor]
    """(prefix, own, window) -> (own, prefix + own), bool; made once for all decoder layers."""

    def mask(self, segment: Segment, window: int, device: torch.device) -> Tensor | None:
        """Which keys each query of a segment sees; None where plain causal attention says it."""
        own, prefix = segment.stop - segment.start, segment.prefix_stop - segment.prefix_start
        if prefix == 0 and own <= window:
            return None
        size = (prefix, own, window)
        if size not in self.masks:
            seen = torch.ones(own, prefix + own, dtype=torch.bool, device=device).tril(prefix)
            self.masks[size] = seen.triu(prefix - window + 1)
        return self.masks[size]


@dataclass(frozen=True, slots=True, eq=False)
class VarlenPlan:
    """The segments of a pack as cumulative lengths, for one call."""

    key_index: Tensor
    """(keys,) int64: for each segment its prefix's tokens, then its own."""
    query_starts: Tensor
    """(segments + 1,) int32"""
    key_starts: Tensor
    """(segments + 1,) int32"""
    longest_query: int
    longest_key: int

    def moved(self, move: Callable[[Tensor], Tensor]) -> "VarlenPlan":
        """The plan with its tensors moved, to pinned memory or to a device."""
        return replace(
            self,
            key_index=move(self.key_index),
            query_starts=move(self.query_starts),
            key_starts=move(self.key_starts),
        )


Plan = SegmentPlan | VarlenPlan

# torch 2.11 takes fewer key than query heads unasked; later releases want to be told.
_GROUPED_QUERIES: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}


def plan_attention(layout: PackLayout, device: torch.device, dtype: torch.dtype, *, capped: bool) -> Plan:
    """The fastest way that the device, the dtype and the family allow; its tensors are still on the host."""
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and not capped:
        return _varlen_plan(layout)
    return SegmentPlan(layout.segments, {})


def _varlen_plan(layout: PackLayout) -> VarlenPlan:
    keys, query_starts, key_starts = [], [0], [0]
    longest_query = longest_key = 1
    for segment in layout.segments:
        keys.append(torch.arange(segment.prefix_start, segment.prefix_stop))
        keys.append(torch.arange(segment.start, segment.stop))
        queries = segment.stop - segment.start
        seen = queries + segment.prefix_stop - segment.prefix_start
        query_starts.append(query_starts[-1] + queries)
        key_starts.append(key_starts[-1] + seen)
        longest_query, longest_key = max(longest_query, queries), max(longest_key, seen)
    return VarlenPlan(
        key_index=torch.cat(keys),
        query_starts=torch.tensor(query_starts, dtype=torch.int32),
        key_starts=torch.tensor(key_starts, dtype=torch.int32),
        # Powers of two, so that the kernel is chosen for few distinct sizes.
        longest_query=1 << (longest_query - 1).bit_length(),
        longest_key=1 << (longest_key - 1).bit_length(),
    )


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - transformers passes it; the plan says what is seen
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    packing: Plan | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it. query (1, heads, T, d); key, value (1, kv_heads, T, d).

    Returns:
        (1, T, heads, d), and no attention weights.
    """
    if packing is None:
        raise UserError(
            f"{type(module).__name__} does not hand the packing on to its attention: set extract.engine to 'padded'"
        )
    if isinstance(packing, VarlenPlan):
        if softcap is not None:
            raise UserError(f"{type(module).__name__} caps its scores, which varlen_attn cannot: use 'padded'")
        return _varlen(query, key, value, scaling, sliding_window, packing)[None], None
    window = sliding_window or query.shape[-2] + 1
    output = torch.empty_like(query)  # (1, heads, T, d)
    for segment in packing.segments:
        own, prefix = slice(segment.start, segment.stop), slice(segment.prefix_start, segment.prefix_stop)
        q = query[:, :, own]  # (1, heads, own, d)
        k = torch.cat([key[:, :, prefix], key[:, :, own]], dim=2)  # (1, kv_heads, prefix + own, d)
        v = torch.cat([value[:, :, prefix], value[:, :, own]], dim=2)
        if softcap is not None:
            output[:, :, own] = _capped(q, k, v, packing.mask(segment, window, query.device), scaling, softcap)
            continue
        mask = packing.mask(segment, window, query.device)
        output[:, :, own] = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=True
        )
    return output.transpose(1, 2), None


def _capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float | None, softcap: float
) -> Tensor:
    """Attention whose scores are squeezed into (-softcap, softcap) by a tanh (Gemma 2, arXiv 2408.00118, 2)."""
    group = query.shape[1] // key.shape[1]
    k, v = (states.repeat_interleave(group, dim=1) for states in (key, value))  # (1, heads, seen, d)
    scores = query @ k.transpose(-2, -1) * (scaling or query.shape[-1] ** -0.5)  # (1, heads, own, seen)
    scores = softcap * torch.tanh(scores / softcap)
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    # float32, as in transformers: a sum over thousands of keys in half precision loses the small ones.
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1, dtype=torch.float32)
    attended: Tensor = weights.to(query.dtype) @ v
    return attended  # (1, heads, own, d)


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    sliding_window: int | None,
    plan: VarlenPlan,
) -> Tensor:
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (T, heads or kv_heads, d)
    attended = varlen_attn(
        q.contiguous(),
        k[plan.key_index],  # (keys, kv_heads, d)
        v[plan.key_index],
        plan.query_starts,
        plan.key_starts,
        plan.longest_query,
        plan.longest_key,
        scale=scaling,
        # Aligned at the lower right: query i of a segment sees its prefix and its first i + 1 tokens.
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        **_GROUPED_QUERIES,
    )
    assert isinstance(attended, Tensor)
    return attended  # (T, heads, d)


# The plan changes from pack to pack, and a compiled layer must not be compiled anew for each.
AttentionInterface.register(NAME, torch.compiler.disable(packed_attention))  # type: ignore[no-untyped-call]
