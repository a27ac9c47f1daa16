"""The padded engine: batches of sequences of like length, for backbones whose attention cannot be exchanged."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from extract.backbone import Backbone
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.kept_memory import keep_freed_memory
from extract.engines.packing_check import check_causal
from extract.engines.padded_batches import PaddedBatches, pad
from extract.packing import PackLayout
from extract.settings import BackboneSettings, ExtractSettings


class PaddedEngine:
    """Runs the conversations of a pack in batches of like length, with the family's own attention.

    Every conversation is computed whole, its prompt included. A batch has at most `extract.pack_tokens`
    positions, padding included; if memory runs out, all later batches have half as many.
    """

    def __init__(
        self, backbone: Backbone, settings: BackboneSettings, extract: ExtractSettings, device: torch.device
    ) -> None:
        keep_freed_memory(device)
        # None lets transformers choose: it knows for which families its fast attention is wrong.
        model = backbone.load(settings, device, attention=None)
        self._reader = HiddenStateReader(model, settings.layers)
        self._batches = PaddedBatches(extract.pack_tokens, device)
        self._device = device
        with torch.inference_mode():
            check_causal(model, self._reader, backbone.vocabulary, device)

    @torch.inference_mode()
    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """See `Engine.features`."""
        for layout in layouts:
            sequences = layout.sequences()
            features: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(sequences)
            for numbers, states in self._batches.run(sequences, self._run):
                for number, state in zip(numbers, states, strict=True):
                    features[number] = state
            yield np.stack(features)

    def _run(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """States of the last token of each sequence, the first being the longest. Shape (b, layers, d)."""
        ids, mask = pad(sequences)
        last = torch.arange(len(sequences)) * ids.shape[1] + mask.sum(dim=-1) - 1  # (b,) into the flattened batch
        states: NDArray[np.float32] = (
            self._reader.read(
                last.to(self._device), input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            .cpu()
            .numpy()
        )
        return states
