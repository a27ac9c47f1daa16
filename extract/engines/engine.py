"""The interface of an engine: packs in, features out."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.packing import PackLayout

if TYPE_CHECKING:
    import torch

    from extract.backbone import Backbone
    from extract.settings import BackboneSettings, ExtractSettings


class Engine(Protocol):
    """A way to run the backbone over packs."""

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """The backbone's states at each pack's `rows`: (features, layers, hidden_size) float32, pack after pack.

        An engine may take packs before it has yielded the features of earlier ones, so that a device need
        not wait for the host.
        """


class LoadEngine(Protocol):
    """The class of an engine, or a function that loads one."""

    def __call__(
        self, backbone: "Backbone", settings: "BackboneSettings", extract: "ExtractSettings", device: "torch.device", /
    ) -> Engine:
        """Load the backbone on the device."""
