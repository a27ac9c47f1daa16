"""The gate's training compared with the authors' corrected loop, in one run on the same generated features.

The authors' loop is `armo-rm/stage-2_train.py` of RLHFlow/RLHF-Reward-Modeling with its defaults, and with its softmax
over the objectives as intended (issue 54 there): all features in memory in float32, each prompt once for the
chosen and once for the rejected response, rewards computed anew at every step, dropout 0.2, AdamW at 1e-3, batches of
1,024 pairs, 2,000 steps. Each way runs in a process of its own and reads the same files.

    python -m benchmarks.gate --json benchmarks/gate.json
    python -m benchmarks.gate --pairs 4000 --features 512 --hidden 128 --steps 200    # a small run
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.conditions import Conditions
from benchmarks.process_memory import peak_bytes
from gating.prompts import BLOCK_ROWS
from gating.settings import GateSettings
from gating.training.pairs import GatePairs
from gating.training.train import train_gate

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


def ours(folder: Path, pairs: int, settings: GateSettings) -> dict[str, Any]:
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
        return torch.softmax(self.layers[-1](x) / 10, dim=-1) * self.logit_scale[0]


def authors(folder: Path, pairs: int, hidden: int, steps: int) -> dict[str, Any]:
    """The authors' loop; its time excludes reading the files."""
    torch.manual_seed(0)
    rows_train, _, rows_test = split(pairs)
    heads = torch.from_numpy(np.load(folder / "heads.npy"))
    prompts = Blocks(folder / "prompts.npy")
    x = torch.empty(rows_train.stop, 2, prompts.shape[-1])  # (train, 2, d): the prompt once for each response
    for start, block in prompts:
        part = torch.from_numpy(block[: max(0, rows_train.stop - start)]).float()
        x[start : start + len(part)] = part[:, None]
    z = torch.empty(rows_train.stop, 2, prompts.shape[-1])  # (train, 2, d)
    for start, block in Blocks(folder / "responses.npy"):
        part = torch.from_numpy(block[: max(0, rows_train.stop - start)]).float()
        z[start : start + len(part)] = part
    gate = PublishedGate(prompts.shape[-1], hidden)
    optimiser = torch.optim.AdamW(gate.parameters(), lr=1e-3, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    loss_of = nn.BCEWithLogitsLoss()
    started = time.perf_counter()
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        batch = torch.randint(0, len(x), (1024,))
        scores = torch.sum(z[batch] @ heads.T * gate(x[batch]), dim=-1)  # (1024, 2)
        loss = loss_of(scores[:, 0] - scores[:, 1], torch.ones(len(scores)))
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"authors' loop: step {step}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - started
    gate.eval()
    right = []
    with torch.inference_mode():
        for (start, asked), (_, answered) in zip(prompts, Blocks(folder / "responses.npy"), strict=True):
            some = slice(max(0, rows_test.start - start), max(0, rows_test.stop - start))
            rewards = torch.from_numpy(answered[some]).float() @ heads.T  # (b, 2, K)
            weights = gate(torch.from_numpy(asked[some]).float())  # (b, K)
            right.append((weights * (rewards[:, 0] - rewards[:, 1])).sum(dim=-1) > 0)
    return {"seconds": seconds, "steps": steps, "accuracy": float(torch.cat(right).double().mean())}


def run_way(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one way in this process."""
    folder, way = Path(arguments.folder), arguments.way
    if way == "authors":
        result = authors(folder, arguments.pairs[0], arguments.hidden, arguments.steps)
    else:
        settings = GateSettings(
            hidden_size=arguments.hidden, steps=arguments.steps, precision="auto" if way == "ours" else "float32"
        )
        result = ours(folder, arguments.pairs[0], settings)
    return result | {"peak_bytes": peak_bytes()}


def in_own_process(way: str, folder: Path, pairs: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one way in a separate process; its result."""
    command = [sys.executable, "-m", "benchmarks.gate", "--way", way, "--folder", str(folder), "--pairs", str(pairs)]
    command += ["--hidden", str(arguments.hidden), "--steps", str(arguments.steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    return {"way": way, "pairs": pairs} | json.loads(done.stdout)


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table; ratios to the authors' loop at the same number of pairs."""
    lines = [
        "| pairs | way | seconds | authors' : this | steps | test accuracy | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    base = {result["pairs"]: result["seconds"] for result in results if result["way"] == "authors"}
    for result in results:
        ratio = f"{base[result['pairs']] / result['seconds']:.1f}" if result["pairs"] in base else ""
        cells = [
            f"{result['pairs']:,}",
            result["way"] + (f", {result['precision']}" if "precision" in result else ""),
            f"{result['seconds']:.1f}",
            ratio,
            f"{result['steps']:,}" + (f" (selected: {result['best_step']:,})" if "best_step" in result else ""),
            f"{100 * result['accuracy']:.2f} %",
            f"{result['peak_bytes'] / 1e9:.2f} GB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for pairs in sorted({result["pairs"] for result in results}):
        ours = next((result for result in results if result["pairs"] == pairs and "oracle" in result), None)
        if ours:
            lines.append(f"\n{pairs:,} pairs: oracle {ours['oracle']:.2%}, equal weights {ours['uniform']:.2%}")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[80_000, 40_000, 20_000])
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument(
        "--steps", type=int, default=2000, help="steps of the authors' loop; largest number of steps of ours"
    )
    parser.add_argument("--ways", nargs="+", default=["ours", "authors", "ours-float32"])
    parser.add_argument("--json", type=Path, default=None, help="file to write the figures to, after each way")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    conditions = Conditions()
    if arguments.way:
        print(json.dumps(run_way(arguments)))
        return
    about = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "features": arguments.features,
        "hidden": arguments.hidden,
    }
    results: list[dict[str, Any]] = []
    for pairs in arguments.pairs:
        with tempfile.TemporaryDirectory() as name:
            generate(Path(name), pairs, arguments.features)
            for way in arguments.ways:
                if way != "ours" and pairs != max(arguments.pairs):
                    continue  # other ways only at the largest size
                results.append(in_own_process(way, Path(name), pairs, arguments))
                print(table(results), flush=True)
                conditions.write(arguments.json, {**about, "results": results})


if __name__ == "__main__":
    main()
