"""Engines that go wrong in a worker's process. In a module of their own, since workers import them by name."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from cache import UserError
from extract.engines.engine import Engine
from extract.packing import PackLayout


class NotANumber:
    """The backbone's features, but NaN for one key in sixteen."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._engine = load()

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:
        for layout in layouts:
            (states,) = self._engine.features([layout])
            states[layout.keys[:, 0] % 16 == 7, 0, 3] = np.nan
            yield states


class NoMemory:
    """Has no room for a single conversation."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        pass

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:  # noqa: ARG002
        raise UserError("a conversation does not fit the memory: lower backbone.max_tokens")


ENGINES = {"not_a_number": NotANumber, "no_memory": NoMemory}
