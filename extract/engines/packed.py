"""The packed engine: one forward pass over a row of many prompts, each followed by its responses."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache.prefetch import prefetched
from extract.backbone import Backbone
from extract.engines.compiled_layers import CompiledLayers
from extract.engines.full_packs import filled
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.joined_products import join_products
from extract.engines.kept_memory import keep_freed_memory
from extract.engines.packed_attention import NAME, Plan, VarlenPlan, plan_attention
from extract.engines.packing_check import check_packing
from extract.engines.smaller_packs import cut, does_not_fit
from extract.packing import PackLayout, Segment
from extract.settings import BackboneSettings, ExtractSettings

log = logging.getLogger(__name__)

CPU_TOKENS = 2048
"""Maximum number of tokens of a pass on a CPU. Larger activations fall out of the cache, and the system
allocates them page by page: 8,192 took 1.2 times as long per token on 2 cores with the bundled backbone
(benchmarks/extract.py)."""

WORTH_FILLING = 0.8
"""Fraction of the maximum tokens from which a pack is padded to the length that a GPU's layers are compiled for; a
smaller pack runs uncompiled there."""

TRIAL = (Segment(0, 24, 0, 0), Segment(24, 40, 0, 24))
"""A prompt and a response, for which layers are compiled on a CPU."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A pack on the host, ready to be sent to the device."""

    layout: PackLayout
    token_ids: Tensor
    """(1, tokens) int64"""
    position_ids: Tensor
    """(1, tokens) int64"""
    rows: Tensor
    """(features,) int64"""
    plan: Plan
    full: bool
    """Whether it is padded to the length that a GPU's layers are compiled for."""


@dataclass(frozen=True, slots=True)
class _Launched:
    """Features on their way to the host."""

    states: list[Tensor]
    """Features of each part: (features, layers, d) float32, on the host."""
    arrived: torch.cuda.Event | None

    def collect(self) -> NDArray[np.float32]:
        """Wait for the features. Shape (features, layers, d), float32."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return np.concatenate([part.numpy() for part in self.states])


class PackedEngine:
    """Computes every token of a pack once: all responses of a prompt use the same states of the prompt.

    While the device computes one pack, the next one is laid out and sent, and the features of the previous one come
    back. If memory runs out, the engine continues with packs of half the size.
    """

    def __init__(
        self, backbone: Backbone, settings: BackboneSettings, extract: ExtractSettings, device: torch.device
    ) -> None:
        keep_freed_memory(device)
        model: Any = backbone.load(settings, device, attention=NAME)
        self._reader = HiddenStateReader(model, settings.layers)
        self._reader.skip_unread_rows()
        self._device = device
        self._cuda = device.type == "cuda"
        self._dtype = getattr(torch, settings.dtype)
        self._capped = getattr(model.config, "attn_logit_softcapping", None) is not None
        self._most_tokens = extract.pack_tokens if self._cuda else min(extract.pack_tokens, CPU_TOKENS)
        # The last layer is neither: it computes few queries and all keys, and its rows differ from pack to pack.
        layers = list(self._reader.layers)[:-1]
        for layer in layers:
            join_products(layer)
        check_packing(model, self._reader, backbone.vocabulary, device, self._plan)
        self._compiled = CompiledLayers(layers, extract.compile, self._trial, cuda=self._cuda)

    @torch.inference_mode()
    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """See `Engine.features`.

        Raises:
            UserError: a single conversation does not fit the device's memory.
        """
        before: _Launched | None = None
        for parts in prefetched(map(self._prepare_parts, layouts)):
            self._compiled.before(sum(part.token_ids.shape[-1] for part in parts))
            launched = self._launch(parts)
            if before is not None:
                yield before.collect()
            before = launched
        if before is not None:
            yield before.collect()

    def _prepare_parts(self, layout: PackLayout) -> list[_Prepared]:
        return [self._prepare(part) for part in cut(layout, self._most_tokens)]

    def _prepare(self, layout: PackLayout) -> _Prepared:
        most = self._most_tokens  # once: the other thread lowers it
        # A single conversation may be longer, and runs uncompiled as it is.
        full = self._compiled.for_one_length and WORTH_FILLING * most <= len(layout.token_ids) <= most
        run = filled(layout, most) if full else layout
        plan = self._plan(run.segments)
        return _Prepared(
            layout,
            self._pinned(torch.from_numpy(run.token_ids)[None]),
            self._pinned(torch.from_numpy(run.position_ids)[None]),
            self._pinned(torch.from_numpy(run.rows)),
            plan.moved(self._pinned) if isinstance(plan, VarlenPlan) else plan,
            full,
        )

    def _plan(self, segments: Sequence[Segment]) -> Plan:
        last_layer = len(self._reader.layers) - 1
        return plan_attention(segments, self._device, self._dtype, capped=self._capped, last_layer=last_layer)

    @torch.inference_mode()
    def _trial(self) -> None:
        tokens = TRIAL[-1].stop
        self._reader.read(
            torch.tensor([tokens - 1]),
            input_ids=torch.zeros(1, tokens, dtype=torch.int64),
            position_ids=torch.arange(tokens)[None],
            packing=self._plan(TRIAL),
        )

    def _launch(self, parts: list[_Prepared]) -> _Launched:
        states: list[Tensor] = []
        waiting = parts[::-1]
        while waiting:
            part = waiting.pop()
            launched = self._try(part)
            if launched is None:
                waiting.extend(self._smaller(part.layout)[::-1])
            else:
                states.append(launched)
        arrived = torch.cuda.Event() if self._cuda else None  # type: ignore[no-untyped-call]
        if arrived is not None:
            arrived.record()
        return _Launched(states, arrived)

    def _try(self, part: _Prepared) -> Tensor | None:
        """Start a pass and return its features on the host; None if the device has no room for it."""
        try:
            with self._compiled.stance(full=part.full):
                states = self._reader.read(
                    self._sent(part.rows),
                    input_ids=self._sent(part.token_ids),
                    position_ids=self._sent(part.position_ids),
                    packing=part.plan.moved(self._sent) if isinstance(part.plan, VarlenPlan) else part.plan,
                )
            if not self._cuda:
                return states
            host = torch.empty(states.shape, dtype=states.dtype, pin_memory=True)
            return host.copy_(states, non_blocking=True)
        except torch.OutOfMemoryError:
            return None

    def _smaller(self, layout: PackLayout) -> list[_Prepared]:
        """The pack cut into pieces of half the tokens; all later packs are cut to that size too."""
        if self._cuda:
            torch.cuda.empty_cache()
        tokens = len(layout.token_ids)
        most = self._most_tokens
        while most >= tokens:
            most //= 2
        parts = cut(layout, most)
        if len(parts) == 1:
            raise does_not_fit(tokens, self._device)
        if most < self._most_tokens:  # else this pack was prepared before the limit was last lowered
            self._most_tokens = most
            log.warning(
                "out of memory with %s tokens a pass: going on with %s (extract.pack_tokens)",
                f"{tokens:,}",
                f"{most:,}",
            )
        return [self._prepare(part) for part in parts]

    def _pinned(self, tensor: Tensor) -> Tensor:
        """The tensor in page-locked memory, from which a GPU copies without the host."""
        return tensor.pin_memory() if self._cuda else tensor

    def _sent(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)
