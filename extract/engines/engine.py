"""What an engine is: packs in, features out."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from extract.packing import PackLayout


class Engine(Protocol):
    """A way to run the backbone over packs."""

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """The backbone's states at each pack's `rows`: (features, layers, hidden_size), float32, pack after pack.

        An engine may take packs before it has given out the features of earlier ones, so that a device need
        not wait for the host.
        """
