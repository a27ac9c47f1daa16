"""The sequential engine: one sequence per forward pass, slow and simple, the reference for the other engines."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from extract.backbone import Backbone
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.kept_memory import keep_freed_memory
from extract.engines.packing_check import check_causal
from extract.packing import PackLayout
from extract.settings import BackboneSettings, ExtractSettings


class SequentialEngine:
    """Runs each conversation alone, with the family's own attention."""

    def __init__(
        self, backbone: Backbone, settings: BackboneSettings, _extract: ExtractSettings, device: torch.device
    ) -> None:
        keep_freed_memory(device)
        # None lets transformers choose: it knows for which families its fast attention is wrong.
        model = backbone.load(settings, device, attention=None)
        self._reader = HiddenStateReader(model, settings.layers)
        self._device = device
        with torch.inference_mode():
            check_causal(model, self._reader, backbone.vocabulary, device)

    @torch.inference_mode()
    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """See `Engine.features`."""
        for layout in layouts:
            features = []
            for ids in layout.sequences():
                last = torch.tensor([len(ids) - 1], device=self._device)
                state = self._reader.read(last, input_ids=torch.from_numpy(ids).to(self._device)[None])
                features.append(state.cpu().numpy())  # (1, layers, d)
            yield np.concatenate(features)
