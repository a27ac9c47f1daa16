"""The device that multiplies blocks of features: a GPU where it is faster, else the CPU's BLAS."""

import ctypes
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from cache import UserError
from cache.errors import first_line
from heads.ridge.symmetric import Real, Scratch

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

TRIAL_ROWS = 1024
"""A block of at least so many rows decides between GPU and CPU: the result's way back from the GPU costs the same for
any number of rows, so that a shorter block would say too little about the long ones that make up a pass."""


class BlockProducts(Scratch):
    """Scratch memory whose products of float32 features are made on a GPU where that is faster.

    A GPU multiplies in float32 with TF32 off, so that its sums over a block of 2,048 rows are as near to float64's as
    BLAS's are (within 2e-6 of the product of the two columns' lengths).

    Args:
        device: auto: try a GPU, if there is one, beside the CPU with the first long block of each width, and take the
            faster; cpu; cuda.

    Raises:
        UserError: the device is cuda, and PyTorch finds none.
    """

    def __init__(self, device: Device = "cpu") -> None:
        super().__init__()
        self._device = device
        self._gpu: TorchProducts | None = None
        self._on_gpu: dict[int, bool] = {}  # width -> whether its products are made on the GPU
        if device == "cuda":
            self._gpu = _gpu()
            if self._gpu is None:
                raise UserError("--device cuda needs a GPU that PyTorch can use, and it finds none: take cpu or auto")

    def product(self, x: Real, add: bool = False) -> Real:
        """As `Scratch.product`.

        Raises:
            UserError: the device is cuda, and the GPU has no room.
        """
        if self._device == "cpu" or add or x.dtype != np.float32:
            return super().product(x, add)
        width = x.shape[-1]
        if self._device == "auto" and width not in self._on_gpu and len(x) >= TRIAL_ROWS:
            self._on_gpu[width] = self._gpu_is_faster(x)
        if not self._on_gpu.get(width, self._device == "cuda"):
            return super().product(x)
        assert self._gpu is not None, "a GPU was found"
        matrix = self.matrix(width, x.dtype)
        try:
            self._gpu.product(x, matrix)
        except RuntimeError as error:  # PyTorch's class for a GPU without room is one
            self._leave_gpu(width, error)
            return super().product(x)
        return matrix

    def _gpu_is_faster(self, x: Real) -> bool:
        """Multiply a block on both, and tell which was faster."""
        self._gpu = self._gpu or _gpu()
        if self._gpu is None:
            self._device = "cpu"
            return False
        try:
            on_gpu = _seconds(self._gpu.product, x, self.matrix(x.shape[-1], x.dtype))
        except RuntimeError as error:
            self._leave_gpu(x.shape[-1], error)
            return False
        on_cpu = _seconds(super().product, x)
        log.info(
            "a product of %s rows and %s columns takes %.1f ms on %s and %.1f ms on the CPU: the faster makes them",
            len(x),
            x.shape[-1],
            1000 * on_gpu,
            self._gpu.name,
            1000 * on_cpu,
        )
        return on_gpu < on_cpu

    def _leave_gpu(self, width: int, error: RuntimeError) -> None:
        if self._device == "cuda":
            raise UserError(
                f"the GPU made no product of {width} columns ({first_line(error)}): take --device cpu or fewer workers"
            ) from None
        log.warning("the CPU makes products of %s columns, since the GPU did not: %s", width, first_line(error))
        self._on_gpu[width] = False


class TorchProducts:
    """Products by PyTorch on one device.

    Args:
        device: name of the device, as PyTorch has it.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._products: dict[int, Any] = {}  # width -> (width, width) on the device
        self._host: dict[int, Any] = {}  # width -> (width, width) that the device writes to without a copy between

    @property
    def name(self) -> str:
        """Name of the device, for people."""
        return self._torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else str(self._device)

    def product(self, x: Real, out: Real) -> None:
        """Write x' x.

        Args:
            x: (n, d) float32.
            out: (d, d) float32, Fortran-contiguous; the triangle above the diagonal is written too.

        Raises:
            RuntimeError: the device has no room.
        """
        torch, width = self._torch, x.shape[-1]
        if width not in self._products:
            shape = (width, width)
            self._products[width] = torch.empty(shape, dtype=torch.float32, device=self._device)
            self._host[width] = torch.empty(shape, dtype=torch.float32, pin_memory=self._device.type == "cuda")
        product, host = self._products[width], self._host[width]
        rows = torch.from_numpy(np.ascontiguousarray(x)).to(self._device)  # (n, d)
        with _full_float32(torch):
            torch.mm(rows.T, rows, out=product)  # (d, d)
        host.copy_(product)
        out.T[...] = host.numpy()  # symmetric, so that the transposed view, which is C-contiguous, is it as well


def _gpu() -> TorchProducts | None:
    """Products on the GPU; None if there is none, which costs no import of PyTorch where no driver is installed."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    import torch

    return TorchProducts("cuda") if torch.cuda.is_available() else None


@contextmanager
def _full_float32(torch: Any) -> Iterator[None]:
    """TF32 off, whatever the process has chosen: it keeps 10 of float32's 23 bits."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _seconds(product: Callable[..., object], *arguments: object) -> float:
    """Time of the second call, since the first one makes room."""
    product(*arguments)
    started = time.perf_counter()
    product(*arguments)
    return time.perf_counter() - started
