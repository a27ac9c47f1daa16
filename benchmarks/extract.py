"""Ways to run the backbone, compared in one run on the same conversations.

On a CPU the bundled backbone's shape in float32; on a GPU a model of Llama 3 8B's shape with random weights in
bfloat16 (`--shape llama-3-8b`). The conversations have the lengths of the eight rating sets (length_mix.py). The
ways take turns, `--rounds` times, and figures are medians, so that other load of the machine affects all of them.

    python -m benchmarks.extract --json benchmarks/extract.json
"""

import argparse
import gc
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig

from benchmarks.extract_ways import LLAMA_3_8B, NAMES, TINY, Benchmark, RandomBackbone, alone, by_key, layouts
from extract.engines.sequential import SequentialEngine
from extract.settings import BackboneSettings, ExtractSettings


@dataclass(frozen=True)
class Measured:
    """Medians of one way over the rounds."""

    way: str
    seconds: float
    sequences_per_second: float
    unique_tokens_per_second: float
    of_matmul_rate: float
    """Rate of the multiplications that unique tokens need in the decoder's matrices, relative to one large product."""
    ratio: float
    """Sequences per second, relative to one at a time."""
    ratio_low: float
    ratio_high: float
    error: float
    """Mean relative difference from float32, one sequence at a time."""


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measured floating-point operations per second of a large matrix product in `dtype`."""
    n, k, m = (16_384, 4096, 14_336) if device.type == "cuda" else (2048, 1024, 2048)
    a, b = torch.randn(n, k, device=device, dtype=dtype), torch.randn(k, m, device=device, dtype=dtype)
    for _ in range(3):
        a @ b
    return 10 * 2 * n * k * m / timed(lambda: [a @ b for _ in range(10)], device)[0]


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds that `work` takes, with the device's queue empty before and after, and its result."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def difference(got: dict[bytes, Any], expected: dict[bytes, Any]) -> float:
    """Mean relative difference of the features that are in both."""
    both = got.keys() & expected.keys()
    return float(np.mean([np.linalg.norm(got[key] - expected[key]) / np.linalg.norm(expected[key]) for key in both]))


def measure(benchmark: Benchmark, names: list[str], rounds: int, rate: float, parameters: int) -> list[Measured]:
    """All ways in turn, `rounds` times over."""
    float32 = benchmark.settings.model_copy(update={"dtype": "float32"})
    exact = SequentialEngine(benchmark.backbone, float32, benchmark.extract, benchmark.device)
    reference = by_key(exact, layouts(benchmark.groups[:8], benchmark.extract.pack_tokens)[1])
    del exact
    gc.collect()
    ways = list(benchmark.ways(set(names)))
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    errors: dict[str, float] = {}
    for _ in range(rounds):
        for way in ways:
            took, features = timed(way.run, benchmark.device)
            seconds[way.name].append(took)
            errors[way.name] = difference(features, reference)
    first = seconds[ways[0].name]
    unique = benchmark.request.tokens()
    results = []
    for way in ways:
        took = statistics.median(seconds[way.name])
        ratios = [a / b for a, b in zip(first, seconds[way.name], strict=True)]
        results.append(
            Measured(
                way=way.name,
                seconds=took,
                sequences_per_second=benchmark.sequences / took,
                unique_tokens_per_second=unique / took,
                of_matmul_rate=2 * parameters * unique / took / rate,
                ratio=statistics.median(first) / took,
                ratio_low=min(ratios),
                ratio_high=max(ratios),
                error=errors[way.name],
            )
        )
    return results


def show(results: list[Measured]) -> None:
    """Print the table."""
    table = Table("way", "sequences/s", "ratio", "low to high", "unique tokens/s", "of the matmul rate", "error")
    for measured in results:
        table.add_row(
            measured.way,
            f"{measured.sequences_per_second:.1f}",
            f"{measured.ratio:.2f}",
            f"{measured.ratio_low:.2f} to {measured.ratio_high:.2f}",
            f"{measured.unique_tokens_per_second:,.0f}",
            f"{measured.of_matmul_rate:.1%}",
            f"{measured.error:.1e}",
        )
    Console(width=140).print(table)


def matrix_parameters(config: Any) -> int:
    """Number of weights of a decoder's matrices without embeddings."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = config.hidden_size * head * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    return int(config.num_hidden_layers * (attention + 3 * config.hidden_size * config.intermediate_size))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=["tiny", "llama-3-8b"], default="tiny")
    parser.add_argument("--times", type=float, default=0.5, help="size of the mix; 1 is 782 sequences")
    parser.add_argument("--pack-tokens", type=int, default=None, help="8192 on a CPU, 32768 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(NAMES), help="the first is what the others are compared with")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    config, dtype = (LLAMA_3_8B, "bfloat16")
    if arguments.shape == "tiny":
        config, dtype = AutoConfig.from_pretrained(TINY), "float32"
        config.max_position_embeddings = 8192
    settings = BackboneSettings(model=str(TINY), dtype=dtype, max_tokens=8192)
    pack_tokens = arguments.pack_tokens or (32_768 if torch.cuda.is_available() else 8192)
    benchmark = Benchmark(RandomBackbone(config), settings, ExtractSettings(pack_tokens=pack_tokens), arguments.times)
    rate = matmul_rate(benchmark.device, getattr(torch, dtype))
    results = measure(benchmark, arguments.ways, arguments.rounds, rate, matrix_parameters(config))
    cuda = benchmark.device.type == "cuda"
    about = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "matmul_tflops": rate / 1e12,
        "sequences": benchmark.sequences,
        "unique_tokens": benchmark.request.tokens(),
        "repeated_tokens": sum(len(layout.token_ids) for layout in alone(benchmark.groups)),
        "pack_tokens": pack_tokens,
        "packs_full": benchmark.request.tokens() / len(benchmark.packs) / pack_tokens,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if cuda else None,
    }
    print(json.dumps(about, indent=2))
    show(results)
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps({**about, "results": [asdict(measured) for measured in results]}, indent=2)
        )


if __name__ == "__main__":
    main()
