"""A block of features multiplied by the CPU and, where there is one, by a GPU: time, and distance from float64.

    python -m benchmarks.block_products --figures gpu-results.jsonl

The block is what `armorm fit-heads` multiplies at once: 2,048 rows, with the way to the GPU and back. Where there is no
GPU, PyTorch's CPU device stands for it, so that the script can be tried. The distance is the largest of all entries, in
units of the product of the two columns' lengths; the columns' means are as far from 0 as they deviate from them.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.figures import Figures
from heads.ridge.group import BLOCK_ROWS
from heads.ridge.products import TorchProducts
from heads.ridge.symmetric import Real, Scratch

WIDTHS = (2048, 4096, 8192)


def seconds(product: Callable[[], object], rounds: int) -> float:
    """Median time of a call, after one that makes room."""
    product()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        product()
        times.append(time.perf_counter() - started)
    return median(times)


def on_device(device: TorchProducts, x: Real, out: Real) -> Real:
    """The product by a device."""
    device.product(x, out)
    return out


def distance(lower: Real, exact: Real) -> float:
    """Largest difference from an exact x' x, on and below the diagonal, in units of the columns' lengths."""
    length = np.sqrt(exact.diagonal())
    return float(np.abs((np.tril(lower) - np.tril(exact)) / np.outer(length, length)).max())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    given = parser.parse_args()
    figures = Figures("products", given.figures)
    device = TorchProducts("cuda" if torch.cuda.is_available() else "cpu")
    for width in given.widths:
        x = np.random.default_rng(0).standard_normal((BLOCK_ROWS, width), dtype=np.float32) + np.float32(1)
        exact = x.astype(np.float64).T @ x.astype(np.float64)  # (d, d)
        scratch, out = Scratch(), np.empty((width, width), np.float32, order="F")
        ways: dict[str, Callable[[], Real]] = {
            "CPU, BLAS": partial(scratch.product, x),
            device.name: partial(on_device, device, x, out),
        }
        for way, product in ways.items():
            taken = seconds(product, given.rounds)
            figures.add(way=way, rows=BLOCK_ROWS, width=width, seconds=taken, distance=distance(product(), exact))


if __name__ == "__main__":
    main()
