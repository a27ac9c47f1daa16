"""Safetensors: one file a shard, with the tensors `feature` and `key`, read through its own memory map by torch."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.way import Floats, Rows, block_rows, sync
from cache.keys import Keys

SUFFIX = ".safetensors"


class SafetensorsShards:
    """Files named by their first row."""

    name = "safetensors"
    settings = (
        "`save_file` of a shard's features and keys, synced after each; read with `safe_open(framework='pt')`, whose"
        " tensors are views of a memory map"
    )
    packages: tuple[str, ...] = ("safetensors", "torch")
    by_number = True

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        import torch
        from safetensors.torch import save_file

        done: set[Path] = set(folder.iterdir())
        for low, keys, features in rows.shards(start):
            tensors = {"feature": torch.from_numpy(features).half(), "key": torch.from_numpy(keys)}
            save_file(tensors, folder / f"{low:09d}{SUFFIX}")
            sync(folder, done)
            written(low + len(keys))

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows of the files that can be opened; one that cannot is removed."""
        from safetensors import SafetensorError, safe_open

        kept = 0
        for path in self.data_files(folder):
            try:
                with safe_open(path, framework="pt") as file:
                    kept += file.get_slice("key").get_shape()[0]
            except (SafetensorError, OSError):
                path.unlink()
        return kept

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        from safetensors import safe_open

        with ExitStack() as opened:
            yield _Reader([opened.enter_context(safe_open(path, framework="pt")) for path in self.data_files(folder)])

    def finder(self, reader: object) -> None:
        """None: the library has no search by key but reading all of them."""

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return sorted(folder.glob(f"*{SUFFIX}"))


class _Reader:
    def __init__(self, files: list) -> None:  # type: ignore[type-arg]  # of objects of a library without types
        self._files = files
        self._features = [file.get_tensor("feature") for file in files]  # views: nothing is read here
        self._starts = np.cumsum([0, *(len(some) for some in self._features)])

    def keys(self) -> Keys:
        return np.concatenate([np.empty((0, 16), np.uint8), *(file.get_tensor("key") for file in self._files)])

    def stream(self) -> Iterator[Floats]:
        for features in self._features:
            block = block_rows(features.shape[1])
            for low in range(0, len(features), block):
                yield features[low : low + block].float().numpy()

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        import torch

        made = torch.empty((len(numbers), self._features[0].shape[1]), dtype=torch.float32)
        order = np.argsort(numbers, kind="stable")
        cuts = np.searchsorted(numbers[order], self._starts)
        for features, start, low, high in zip(self._features, self._starts, cuts, cuts[1:], strict=False):
            at = order[low:high]
            made[torch.from_numpy(at)] = features[torch.from_numpy(numbers[at] - start)].float()
        return made.numpy()
