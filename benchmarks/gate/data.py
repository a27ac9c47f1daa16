"""Generated pairs as the ways read them: files of float16 features, heads, and which response is better."""

from pathlib import Path
from typing import Any

import numpy as np

from gating.prompts import BLOCK_ROWS

K = 19
KINDS = 12
"""Number of kinds of prompts, each with other weights of the objectives."""
LATENT = 24
"""Number of directions that a prompt's weights depend on: the centre of its kind, plus half as much that is random."""
NOISE_RANK = 64
"""Number of directions in which prompts differ without effect on their weights; white noise of a third is added."""
OUTLIERS = 4
"""Number of columns that are a hundred times larger, as in a language model's final states."""
TEST_PAIRS = 10_000
"""Number of pairs whose prompts neither way uses for training or for stopping."""


def generate(folder: Path, pairs: int, d: int, seed: int = 0) -> None:
    """Write `prompts.npy` (n, d), `responses.npy` (n, 2, d), float16, and `heads.npy` (K, d), float32.

    n is `pairs` plus the test pairs after them, each with its own prompt, which is the largest possible number of
    prompts. Rewards are linear in a response's feature. The preferred response is drawn by Bradley-Terry from rewards
    weighted by a softmax of the prompt's latent directions, which its feature contains under noise.
    """
    rng = np.random.default_rng(seed)
    n = pairs + TEST_PAIRS
    centres = rng.standard_normal((KINDS, LATENT), dtype=np.float32)
    latent_map = rng.standard_normal((LATENT, d), dtype=np.float32) / np.sqrt(LATENT)
    noise_map = rng.standard_normal((NOISE_RANK, d), dtype=np.float32) / np.sqrt(NOISE_RANK)
    scales = np.exp(0.5 * rng.standard_normal(d)).astype(np.float32)
    scales[rng.choice(d, OUTLIERS, replace=False)] = 100.0
    offsets = (0.5 * scales * rng.standard_normal(d)).astype(np.float32)
    weight_map = 3.0 * rng.standard_normal((LATENT, K), dtype=np.float32) / np.sqrt(LATENT)
    heads = (rng.standard_normal((K, d)) * 0.12 / np.sqrt(d)).astype(np.float32)
    prompts = np.lib.format.open_memmap(folder / "prompts.npy", "w+", np.float16, (n, d))
    responses = np.lib.format.open_memmap(folder / "responses.npy", "w+", np.float16, (n, 2, d))
    oracle = np.empty(n, dtype=bool)
    for start in range(0, n, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, n - start)
        latent = centres[rng.integers(KINDS, size=rows)] + 0.5 * rng.standard_normal((rows, LATENT), dtype=np.float32)
        noise = rng.standard_normal((rows, NOISE_RANK), dtype=np.float32) @ noise_map
        noise += rng.standard_normal((rows, d), dtype=np.float32) / 3
        prompts[start : start + rows] = (latent @ latent_map + noise) * scales + offsets
        logits = latent @ weight_map  # (rows, K)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        features = rng.standard_normal((rows, 2, d), dtype=np.float32).astype(np.float16)
        rewards = features.astype(np.float32) @ heads.T  # (rows, 2, K)
        margin = 40.0 * np.einsum("nk,nk->n", weights, rewards[:, 0] - rewards[:, 1])  # (rows,)
        swap = rng.random(rows) >= 1 / (1 + np.exp(-margin))
        features[swap] = features[swap, ::-1]
        responses[start : start + rows] = features
        oracle[start : start + rows] = np.where(swap, -margin, margin) > 0
    prompts.flush()
    responses.flush()
    np.save(folder / "heads.npy", heads)
    np.save(folder / "oracle.npy", oracle)


def split(pairs: int) -> tuple[slice, slice, slice]:
    """Training, validation and test pairs: the authors' four fifths and one fifth, and the rest."""
    train = pairs * 4 // 5
    return slice(0, train), slice(train, pairs), slice(pairs, pairs + TEST_PAIRS)


class Blocks:
    """A .npy file read in blocks and not mapped, so that the measured memory of a process is its own arrays."""

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        self.shape, self.dtype, self._offset = mapped.shape, mapped.dtype, mapped.offset
        self._path = path

    def __iter__(self) -> Any:
        width = int(np.prod(self.shape[1:]))
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for start in range(0, self.shape[0], BLOCK_ROWS):
                rows = min(BLOCK_ROWS, self.shape[0] - start)
                yield start, np.fromfile(file, self.dtype, rows * width).reshape(rows, *self.shape[1:])
