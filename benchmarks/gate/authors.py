"""The authors' loop, corrected, and with the changes that an engineer would try first.

The loop is `armo-rm/stage-2_train.py` of RLHFlow/RLHF-Reward-Modeling with its defaults, and with its softmax over the
objectives as intended (issue 54 there): all features in memory in float32, each prompt once for the chosen and once for
the rejected response, rewards computed anew at every step, dropout 0.2, AdamW at 1e-3, batches of 1,024 pairs, 2,000
steps. The changes, each with all else as it is:

- standardised: features of mean 0 and spread 1 over the training rows, once, before the first step.
- stopped: the loss on the same validation pairs as ours every 100 steps; the loop ends after as many steps without a
  lower one as ours would take, and the gate with the lowest is kept.
- bfloat16: torch's autocast around the gate, with logits and softmax in float32; parameters stay float32.
"""

import copy
import math
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from benchmarks.gate.data import Blocks, K, split
from gating.prompts import BLOCK_ROWS
from gating.settings import GateSettings

CHECK_EVERY = 100
PATIENCE_STEPS = GateSettings().patience * GateSettings().check_every


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes to the published loop."""

    standardised: bool = False
    stopped: bool = False
    bfloat16: bool = False

    @classmethod
    def of_way(cls, way: str) -> "Changes":
        """The changes of 'authors-standardised-stopped' and the like."""
        named = way.split("-")[1:]
        return cls(**dict.fromkeys(named, True))


class PublishedGate(nn.Module):
    """The authors' gate, with the softmax over the last axis."""

    def __init__(self, d: int, hidden: int) -> None:
        super().__init__()
        widths = [d, hidden, hidden, hidden, K]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.logit_scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Prompt features (..., d) -> weights (..., K)."""
        for layer in self.layers[:-1]:
            x = torch.dropout(torch.relu(layer(x)), p=0.2, train=self.training)
        return torch.softmax(self.layers[-1](x).float() / 10, dim=-1) * self.logit_scale[0]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Pairs to judge on, one prompt each."""

    prompts: torch.Tensor
    """(n, d) float32"""
    difference: torch.Tensor
    """(n, K) rewards of the chosen response less those of the rejected"""

    @classmethod
    def read(cls, folder: Path, rows: slice, heads: torch.Tensor) -> "Judged":
        """The pairs of some rows of the files."""
        prompts, differences = [], []
        for (start, asked), (_, answered) in zip(
            Blocks(folder / "prompts.npy"), Blocks(folder / "responses.npy"), strict=True
        ):
            some = slice(max(0, rows.start - start), max(0, rows.stop - start))
            rewards = torch.from_numpy(answered[some]).float() @ heads.T  # (b, 2, K)
            prompts.append(torch.from_numpy(asked[some]).float())
            differences.append(rewards[:, 0] - rewards[:, 1])
        return cls(torch.cat(prompts), torch.cat(differences))

    @torch.inference_mode()
    def margins(self, gate: PublishedGate, bfloat16: bool) -> torch.Tensor:
        """Differences of the gated scores. Shape (n,)."""
        training = gate.training
        gate.eval()
        found = []
        for prompts, difference in zip(
            torch.split(self.prompts, BLOCK_ROWS), torch.split(self.difference, BLOCK_ROWS), strict=True
        ):
            found.append((weights_of(gate, prompts, bfloat16) * difference).sum(dim=-1))
        gate.train(training)
        return torch.cat(found)


def train(folder: Path, pairs: int, hidden: int, steps: int, changes: Changes) -> dict[str, Any]:
    """The loop; its time excludes reading the files."""
    torch.manual_seed(0)
    rows_train, rows_validation, rows_test = split(pairs)
    heads = torch.from_numpy(np.load(folder / "heads.npy"))
    x, z = read(folder, rows_train.stop)
    validation = Judged.read(folder, rows_validation, heads) if changes.stopped else None
    started = time.perf_counter()
    mean, spread = torch.zeros(x.shape[-1]), torch.ones(x.shape[-1])  # (d,)
    if changes.standardised:
        mean, spread = standardise(x)
        if validation is not None:
            validation.prompts.sub_(mean).div_(spread)
    standardising = time.perf_counter() - started
    gate = PublishedGate(x.shape[-1], hidden)
    optimiser = torch.optim.AdamW(gate.parameters(), lr=1e-3, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    loss_of = nn.BCEWithLogitsLoss()
    lowest, best_step, best = math.inf, 0, gate.state_dict()
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        batch = torch.randint(0, len(x), (1024,))
        weights = weights_of(gate, x[batch], changes.bfloat16)  # (1024, 2, K)
        scores = torch.sum(z[batch] @ heads.T * weights, dim=-1)  # (1024, 2)
        loss = loss_of(scores[:, 0] - scores[:, 1], torch.ones(len(scores)))
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % CHECK_EVERY and step < steps:
            continue
        print(f"authors' loop: step {step}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        if validation is not None:
            now = float(softplus(-validation.margins(gate, changes.bfloat16)).mean())
            if now < lowest:
                lowest, best_step, best = now, step, copy.deepcopy(gate.state_dict())
            elif step - best_step >= PATIENCE_STEPS:
                break
    seconds = time.perf_counter() - started
    del x, z, validation
    result: dict[str, Any] = {"seconds": seconds, "seconds_standardising": standardising, "steps": step}
    if changes.stopped:
        gate.load_state_dict(best)
        result["best_step"] = best_step
    test = Judged.read(folder, rows_test, heads)
    test.prompts.sub_(mean).div_(spread)
    right = test.margins(gate, bfloat16=False) > 0
    precision = "bfloat16" if changes.bfloat16 else "float32"
    return result | {"precision": precision, "accuracy": float(right.double().mean())}


def weights_of(gate: PublishedGate, prompts: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """The gate's weights (..., K), float32."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        weights: torch.Tensor = gate(prompts)
    return weights


def read(folder: Path, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts, once for each response, and responses of the first rows: (rows, 2, d) each, float32."""
    prompts = Blocks(folder / "prompts.npy")
    x = torch.empty(rows, 2, prompts.shape[-1])
    for start, block in prompts:
        part = torch.from_numpy(block[: max(0, rows - start)]).float()
        x[start : start + len(part)] = part[:, None]
    z = torch.empty(rows, 2, prompts.shape[-1])
    for start, block in Blocks(folder / "responses.npy"):
        part = torch.from_numpy(block[: max(0, rows - start)]).float()
        z[start : start + len(part)] = part
    return x, z


def standardise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts x (n, 2, d) to mean 0 and spread 1 in place; the mean and spread (d,) that they had."""
    spread, mean = torch.std_mean(x[:, 0], dim=0, correction=0)  # (d,) each
    spread = torch.where(spread > 0, spread, 1.0)
    x.sub_(mean).div_(spread)
    return mean, spread
