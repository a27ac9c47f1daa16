"""The padded engine: batches of sequences of like length, for backbones whose attention cannot be exchanged."""

import logging
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from extract.backbone import Backbone
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.smaller_packs import does_not_fit
from extract.packing import PackLayout
from extract.settings import BackboneSettings, ExtractSettings

log = logging.getLogger(__name__)


class PaddedEngine:
    """Runs the conversations of a pack in batches of like length, with the family's own attention.

    Every conversation is computed whole, its prompt included. A batch has at most `extract.pack_tokens`
    positions, padding included; if memory runs out, all later batches have half as many.
    """

    def __init__(
        self, backbone: Backbone, settings: BackboneSettings, extract: ExtractSettings, device: torch.device
    ) -> None:
        # None lets transformers choose: it knows for which families its fast attention is wrong.
        model = backbone.load(settings, device, attention=None)
        self._reader = HiddenStateReader(model, settings.layers)
        self._most_positions = extract.pack_tokens
        self._device = device

    @torch.inference_mode()
    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """See `Engine.features`."""
        for layout in layouts:
            sequences = layout.sequences()
            order = sorted(range(len(sequences)), key=lambda number: -len(sequences[number]))
            features: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(sequences)
            while order:
                batch = max(1, self._most_positions // len(sequences[order[0]]))
                try:
                    states = self._run([sequences[number] for number in order[:batch]])  # (b, layers, d)
                except torch.OutOfMemoryError:
                    states = None
                if states is None:  # outside of the handler, whose exception still holds the tensors
                    self._halve(batch, len(sequences[order[0]]))
                    continue
                for number, state in zip(order, states, strict=False):
                    features[number] = state
                order = order[batch:]
            yield np.stack(features)

    def _halve(self, batch: int, longest: int) -> None:
        if batch == 1:
            raise does_not_fit(longest, self._device)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("out of memory with %s positions a pass: going on with half", f"{batch * longest:,}")
        self._most_positions = batch * longest // 2

    def _run(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """States of the last token of each sequence, the first being the longest. Shape (b, layers, d)."""
        ids = torch.zeros(len(sequences), len(sequences[0]), dtype=torch.int64)  # (b, longest)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            # Padded on the right: positions are then the same as without padding, and no token attends to its right.
            ids[row, : len(sequence)] = torch.from_numpy(sequence)
            mask[row, : len(sequence)] = 1
        last = torch.arange(len(sequences)) * ids.shape[1] + mask.sum(dim=-1) - 1  # (b,) into the flattened batch
        states: NDArray[np.float32] = (
            self._reader.read(
                last.to(self._device), input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            .cpu()
            .numpy()
        )
        return states
