"""Ways to run the backbone, compared in one run on the same conversations.

On a CPU the bundled backbone's shape in float32, or a model of SmolLM2-135M's shape with random weights (`--shape
smollm2-135m --dtype bfloat16`); on a GPU one of Llama 3 8B's shape in bfloat16 (`--shape llama-3-8b`). The
conversations have the lengths of the eight rating sets (length_mix.py). The ways take turns, `--rounds` times, and
figures are medians, so that other load of the machine affects all of them.

    python -m benchmarks.extract --json benchmarks/extract.json
"""

import argparse
import gc
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

from benchmarks.conditions import Conditions
from benchmarks.extract_ways import (
    LLAMA_3_8B,
    NAMES,
    SMOLLM2_135M,
    TINY,
    Benchmark,
    Features,
    RandomBackbone,
    by_key,
    layouts,
)
from benchmarks.figures import Figures
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
    """Rate of the multiplications that unique tokens need in the decoder's matrices, relative to one large product in
    the same round."""
    ratio: float
    """Sequences per second, relative to one at a time."""
    ratio_low: float
    ratio_high: float
    error: float
    """Mean relative difference from float32, one sequence at a time."""


def matmul_rate(device: torch.device, dtype: torch.dtype, products: int = 10) -> float:
    """Measured floating-point operations per second of large matrix products in `dtype`."""
    n, k, m = (16_384, 4096, 14_336) if device.type == "cuda" else (2048, 1024, 2048)
    a, b = torch.randn(n, k, device=device, dtype=dtype), torch.randn(k, m, device=device, dtype=dtype)
    out = torch.empty(n, m, device=device, dtype=dtype)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(a, b, out=out)

    multiply(3)
    return products * 2 * n * k * m / timed(lambda: multiply(products), device)[0]


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds that `work` takes, with the device's queue empty before and after, and its result."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def difference(got: Features, expected: Features) -> float:
    """Mean relative difference of the features that are in both."""
    both = got.keys() & expected.keys()
    return float(np.mean([np.linalg.norm(got[key] - expected[key]) / np.linalg.norm(expected[key]) for key in both]))


def exact(benchmark: Benchmark) -> Features:
    """Features of the first conversations, computed one at a time in float32."""
    float32 = benchmark.settings.model_copy(update={"dtype": "float32"})
    engine = SequentialEngine(benchmark.backbone, float32, benchmark.extract, benchmark.device)
    return by_key(engine, layouts(benchmark.groups[:8], benchmark.extract.pack_tokens)[1])


def measure(benchmark: Benchmark, names: list[str], rounds: int, parameters: int, figures: Figures) -> list[Measured]:
    """All ways in turn, `rounds` times over, each round with its own rate of one large product."""
    dtype = getattr(torch, benchmark.settings.dtype)
    reference = exact(benchmark)
    gc.collect()
    if benchmark.device.type == "cuda":
        torch.cuda.empty_cache()
    ways = []
    for way in benchmark.ways(set(names)):
        ways.append(way)
        figures.add(ready=way.name)
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    errors: dict[str, float] = {}
    unique = benchmark.request.tokens()
    rates: list[float] = []
    for number in range(rounds):
        rates.append(matmul_rate(benchmark.device, dtype))
        for way in ways:
            took, given = timed(way.run, benchmark.device)
            seconds[way.name].append(took)
            errors[way.name] = difference(given(), reference)
            figures.add(
                way=way.name,
                round=number + 1,
                seconds=round(took, 3),
                sequences_per_second=round(benchmark.sequences / took, 2),
                unique_tokens_per_second=round(unique / took),
                of_matmul_rate=round(2 * parameters * unique / took / rates[-1], 4),
                error=errors[way.name],
            )
    first = seconds[ways[0].name]
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
                of_matmul_rate=statistics.median(
                    2 * parameters * unique / one / rate for one, rate in zip(seconds[way.name], rates, strict=True)
                ),
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
    parser.add_argument("--shape", choices=["tiny", "smollm2-135m", "llama-3-8b"], default="tiny")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="float32 for tiny, else bfloat16")
    parser.add_argument("--times", type=float, default=0.5, help="size of the mix; 1 is 782 sequences")
    parser.add_argument("--pack-tokens", type=int, default=None, help="8192 on a CPU, 32768 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(NAMES), help="the first is what the others are compared with")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    parser.add_argument("--stage", default="extract", help="name of this run in --figures")
    arguments = parser.parse_args()
    conditions = Conditions()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arguments.shape == "tiny":
        config, dtype = AutoConfig.from_pretrained(TINY), arguments.dtype or "float32"
        config.max_position_embeddings = 8192
    else:
        config = {"smollm2-135m": SMOLLM2_135M, "llama-3-8b": LLAMA_3_8B}[arguments.shape]
        dtype = arguments.dtype or "bfloat16"
    settings = BackboneSettings(model=str(TINY), dtype=dtype, max_tokens=8192)
    cuda = torch.cuda.is_available()
    pack_tokens = arguments.pack_tokens or (32_768 if cuda else 8192)
    extract = ExtractSettings(pack_tokens=pack_tokens)
    benchmark = Benchmark(RandomBackbone(config, dtype), settings, extract, arguments.times)
    rate = matmul_rate(benchmark.device, getattr(torch, dtype))
    about = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "matmul_tflops": rate / 1e12,
        "sequences": benchmark.sequences,
        "unique_tokens": benchmark.request.tokens(),
        "repeated_tokens": benchmark.repeated_tokens,
        "pack_tokens": pack_tokens,
        "packs_full": benchmark.request.tokens() / len(benchmark.packs) / pack_tokens,
    }
    figures = Figures(arguments.stage, arguments.figures)
    figures.add(**about)
    results = measure(benchmark, arguments.ways, arguments.rounds, matrix_parameters(config), figures)
    about["peak_gpu_bytes"] = torch.cuda.max_memory_allocated() if cuda else None
    if cuda:  # after the ways, while the device is still warm
        about["matmul_tflops_afterwards"] = matmul_rate(benchmark.device, getattr(torch, dtype)) / 1e12
        about["matmul_tflops_for_seconds"] = matmul_rate(benchmark.device, getattr(torch, dtype), 1000) / 1e12
    figures.add(**about)
    show(results)
    conditions.write(arguments.json, {**about, "results": [asdict(measured) for measured in results]})


if __name__ == "__main__":
    main()
