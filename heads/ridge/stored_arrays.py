"""Arrays in a safetensors file, read one at a time, each checked against its checksum when first read."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cache import UserError
from cache.durable import TEMPORARY, sync_folder


class StatisticsDamageError(UserError):
    """A file of saved statistics is missing or damaged."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}: run `armorm fit-heads` again, which makes them anew")
        self.problem = problem
        """The message without the remedy."""


class StoredArrays:
    """The named arrays of one safetensors file, read on demand."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self._about = about
        self._checked: set[str] = set()

    @classmethod
    def write(cls, path: Path, arrays: dict[str, NDArray[Any]], durable: bool = True) -> "StoredArrays":
        """Write arrays to a new file; without `durable` the file may be lost in a crash of the machine."""
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        about = {name: {"rows": len(array), "crc32": _crc32(array)} for name, array in whole.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + TEMPORARY)
        try:
            save_file(whole, temporary)
            if durable:
                _sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
        return cls(path, about)

    def rename(self, path: Path, durable: bool = True) -> None:
        """Rename the file within its folder."""
        if durable:
            _sync(self.path)
        if path != self.path:
            self.path.replace(path)
            self.path = path

    @property
    def names(self) -> list[str]:
        """Names of the arrays, in the order of writing."""
        return list(self._about)

    @property
    def about(self) -> dict[str, Any]:
        """Length and checksum of each array, from which another process can open the file."""
        return self._about

    def length(self, name: str) -> int:
        """Length of an array's first dimension."""
        return int(self._about[name]["rows"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Read one array.

        Raises:
            StatisticsDamageError: the file is missing, or the array does not match its checksum.
        """
        try:
            with safe_open(self.path, framework="numpy") as file:
                array: NDArray[Any] = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise StatisticsDamageError(f"{self.path} cannot be read ({error})") from None
        if name not in self._checked:
            if _crc32(array) != self._about[name]["crc32"]:
                raise StatisticsDamageError(f"{name} in {self.path} does not match its checksum")
            self._checked.add(name)
        return array


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _crc32(array: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data.cast("B")) if array.size else 0
