"""Attention over a packed row: each segment attends to its prefix and, causally, to itself.

Three ways to the same numbers: one `varlen_attn` call for all segments, on CUDA in bfloat16 or float16; one
`scaled_dot_product_attention` call per block of a segment, on any device and in any dtype; and, for families that cap
their scores (Gemma 2), the formula itself, since the other two have no cap.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from cache import UserError
from extract.packing import Segment

NAME = "armorm_packed"
"""Name under which this attention is registered with transformers."""


class CannotPackError(UserError):
    """A family cannot be computed in packs. `load_engine` runs padded batches in their place."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: set extract.engine to 'padded'")
        self.reason = reason


QUERY_BLOCK = 128
"""Number of queries of one attention call on a segment. A call computes all its queries with all its keys, the masked
ones too; in blocks, half of a long segment's products are never computed. 64 to 256 cost the same on a CPU; 500 tokens
without a prompt take two thirds of the time of one causal call, 1,300 after a prompt of 700 take 0.7 of one masked
call."""


@dataclass(slots=True, eq=False)  # not frozen: see `Plan`
class SegmentPlan:
    """The segments of a pack, attended to block by block."""

    segments: tuple[Segment, ...]
    masks: dict[int, Tensor]
    """Window -> (`QUERY_BLOCK`, most keys of a segment): the mask that is added to the scores of a block's queries. It
    is aligned at the lower right, so that its last rows and columns are the mask of every smaller block; all layers
    use the same."""
    last_layer: int | None = None
    """Index of the layer after which only the states of the segments' last tokens are used."""

    def blocks(self, segment: Segment, layer: int | None) -> Iterator[tuple[int, int]]:
        """The blocks of a segment's queries that a layer computes, as (start, stop)."""
        first = segment.stop - 1 if layer is not None and layer == self.last_layer else segment.start
        for start in range(first, segment.stop, QUERY_BLOCK):
            yield start, min(start + QUERY_BLOCK, segment.stop)

    def mask(self, queries: int, keys: int, window: int, like: Tensor) -> Tensor:
        """Mask (queries, keys): 0 where a query attends to a key, else -inf. The last query attends to the last key."""
        if window not in self.masks:
            most = max(
                segment.stop - segment.start + segment.prefix_stop - segment.prefix_start for segment in self.segments
            )
            most = max(most, QUERY_BLOCK)
            seen = torch.ones(QUERY_BLOCK, most, dtype=torch.bool, device=like.device).tril(most - QUERY_BLOCK)
            seen = seen.triu(most - QUERY_BLOCK - window + 1)
            self.masks[window] = torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill(
                ~seen, -torch.inf
            )
        mask = self.masks[window][-queries:, -keys:]
        return mask.contiguous() if like.is_cuda else mask  # kernels on a GPU need aligned rows; a view has others


@dataclass(slots=True, eq=False)  # not frozen: see `Plan`
class VarlenPlan:
    """The segments of a pack as cumulative lengths, for one call."""

    key_index: Tensor
    """(keys,) int64: for each segment the indices of its prefix's tokens, then of its own."""
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
"""The plan of a pack. Plans never change, but the dataclasses are not frozen: torch 2.11 takes frozen ones apart at the
entry of a compiled layer, and would compile the layer again for every pack whose tensors have other sizes."""

# torch 2.11 accepts fewer key heads than query heads; later releases need this argument.
_GROUPED_QUERIES: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}


def plan_attention(
    segments: Sequence[Segment],
    device: torch.device,
    dtype: torch.dtype,
    *,
    capped: bool,
    last_layer: int | None = None,
) -> Plan:
    """The plan for the fastest way that the device, the dtype and the family allow; its tensors are on the host."""
    if uses_varlen(device, dtype, capped=capped):
        return varlen_plan(segments)
    return SegmentPlan(tuple(segments), {}, last_layer)


def uses_varlen(device: torch.device, dtype: torch.dtype, *, capped: bool) -> bool:
    """Whether one call of `varlen_attn` computes all segments."""
    return device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and not capped


def varlen_plan(segments: Sequence[Segment]) -> VarlenPlan:
    """The plan for one call over these segments, which fill a row from its first token to its last."""
    keys, query_starts, key_starts = [], [0], [0]
    longest_query = longest_key = 1
    for segment in segments:
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


class Gathered:
    """Keys or values that the segments of a pack attend to: a prompt's are copied once for all its responses."""

    def __init__(self, states: Tensor) -> None:
        self._states = states  # (1, kv_heads, T, d)
        self._copied: Tensor | None = None
        self._prefix = (0, 0)

    def of(self, segment: Segment) -> Tensor:
        """States of the segment's prefix, then its own, valid until the next call: (1, kv_heads, prefix + own, d)."""
        start, stop = segment.prefix_start, segment.prefix_stop
        if start == stop or stop == segment.start:
            return self._states[:, :, start if start < stop else segment.start : segment.stop]
        tokens, own = stop - start, segment.stop - segment.start
        if self._copied is None or self._prefix != (start, stop) or self._copied.shape[2] < tokens + own:
            self._copied = self._states.new_empty(*self._states.shape[:2], tokens + own, self._states.shape[-1])
            self._copied[:, :, :tokens] = self._states[:, :, start:stop]
            self._prefix = (start, stop)
        self._copied[:, :, tokens : tokens + own] = self._states[:, :, segment.start : segment.stop]
        return self._copied[:, :, : tokens + own]


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - transformers passes it; the plan defines the mask
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
        raise CannotPackError(f"{type(module).__name__} does not hand the packing on to its attention")
    if isinstance(packing, VarlenPlan):
        if softcap is not None:
            raise CannotPackError(f"{type(module).__name__} caps its scores, which varlen_attn cannot")
        return _varlen(query, key, value, scaling, sliding_window, packing)[None], None
    window = sliding_window or query.shape[-2] + 1
    output = torch.zeros_like(query)  # (1, heads, T, d)
    keys, values = Gathered(key), Gathered(value)
    for segment in packing.segments:
        k, v = keys.of(segment), values.of(segment)  # (1, kv_heads, prefix + own, d) each
        before = segment.prefix_stop - segment.prefix_start - segment.start  # token -> index of its key
        for start, stop in packing.blocks(segment, getattr(module, "layer_idx", None)):
            first = max(0, start + before - window + 1)  # earlier keys are outside every query's window
            seen = slice(first, stop + before)
            mask = packing.mask(stop - start, stop + before - first, window, query)
            q = query[:, :, start:stop]  # (1, heads, block, d)
            if softcap is None:
                attended = scaled_dot_product_attention(
                    q, k[:, :, seen], v[:, :, seen], attn_mask=mask, scale=scaling, enable_gqa=True
                )
            else:
                attended = _capped(q, k[:, :, seen], v[:, :, seen], mask, scaling, softcap)
            output[:, :, start:stop] = attended
    return output.transpose(1, 2), None


def _capped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float | None, softcap: float) -> Tensor:
    """Attention whose scores are limited to (-softcap, softcap) by a tanh (Gemma 2, arXiv 2408.00118, 2)."""
    group = query.shape[1] // key.shape[1]
    k, v = (states.repeat_interleave(group, dim=1) for states in (key, value))  # (1, heads, seen, d)
    scores = query @ k.transpose(-2, -1) * (scaling or query.shape[-1] ** -0.5)  # (1, heads, own, seen)
    scores = softcap * torch.tanh(scores / softcap) + mask
    # float32, as in transformers: a sum over thousands of keys in half precision loses the small ones.
    weights = scores.softmax(dim=-1, dtype=torch.float32)
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
        # Aligned at the lower right: query i of a segment attends to its prefix and its first i + 1 tokens.
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        **_GROUPED_QUERIES,
    )
    assert isinstance(attended, Tensor)
    return attended  # (T, heads, d)


# Not compiled: the plan changes from pack to pack, and each would compile the layer anew.
AttentionInterface.register(NAME, torch.compiler.disable(packed_attention))  # type: ignore[no-untyped-call]
