"""This project's training of the gate, from files to the trained gate."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gate.data import Blocks, split
from gating.prompts import BLOCK_ROWS
from gating.settings import GateSettings
from gating.training.pairs import GatePairs
from gating.training.train import train_gate


def train(folder: Path, pairs: int, settings: GateSettings) -> dict[str, Any]:
    """This project's way, from files to the trained gate."""
    started = time.perf_counter()
    heads = torch.from_numpy(np.load(folder / "heads.npy"))
    prompts = Blocks(folder / "prompts.npy")
    features = torch.empty(prompts.shape, dtype=torch.float16)  # (n, d)
    for start, block in prompts:
        features[start : start + len(block)] = torch.from_numpy(block)
    responses = Blocks(folder / "responses.npy")
    difference = torch.empty(len(features), len(heads))  # (n, K)
    for start, block in responses:
        both = torch.from_numpy(block).float() @ heads.T  # (b, 2, K)
        difference[start : start + len(block)] = both[:, 0] - both[:, 1]
    everything = GatePairs(features, torch.arange(len(features)), difference)
    train, validation, test = (everything.at(torch.arange(rows.start, rows.stop)) for rows in split(pairs))
    read = time.perf_counter() - started
    trained = train_gate(train, validation, settings)
    seconds = time.perf_counter() - started
    with torch.inference_mode():
        right = [
            (trained.gate(features[rows].float()) * difference[rows]).sum(dim=-1) > 0
            for rows in torch.split(test.prompt, BLOCK_ROWS)
        ]
    return {
        "seconds": seconds,
        "seconds_reading": read,
        "steps": trained.metrics[-1].step,
        "best_step": trained.best.step,
        "accuracy": float(torch.cat(right).double().mean()),
        "uniform": float((difference[test.prompt].mean(dim=-1) > 0).double().mean()),
        "oracle": float(np.load(folder / "oracle.npy")[split(pairs)[2]].mean()),
        "precision": str(trained.dtype).removeprefix("torch."),
    }
