"""Ways to run the backbone, compared in one run on the same conversations.

On a CPU the bundled backbone's shape in float32, or a model of SmolLM2-135M's shape with random weights (`--shape
smollm2-135m --dtype bfloat16`); on a GPU one of Llama 3 8B's shape in bfloat16 (`--shape llama-3-8b`). The
conversations have the lengths of the eight rating sets (length_mix.py). The ways take turns, `--rounds` times, and
figures are medians, so that other load of the machine affects all of them.

    python -m benchmarks.extract --json benchmarks/extract.json

- "one at a time" is the authors' way: one conversation a pass, by transformers with its own attention (SDPA).
- "sorted, padded": batches of similar lengths, by transformers, with SDPA and a mask.
- "packed …": this project's engine, with every prompt before each of its responses, or once for all of them; compiled
  where it says so, otherwise not.
- "vllm": the vllm engine, where vLLM is installed beside this project (docs/vllm.md); with its prefix cache.
- "end to end": from text to sealed shards.

All have the same weights, dtype and threads, and are warmed up before their first round.
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
from transformers import AutoConfig

from benchmarks.conditions import Conditions
from benchmarks.extract_ways import NAMES, Benchmark, Features, by_key, layouts
from benchmarks.figures import Figures
from benchmarks.random_backbone import LLAMA_3_8B, SMOLLM2_135M, TINY, RandomBackbone
from extract.engines.sequential import SequentialEngine
from extract.settings import BackboneSettings, ExtractSettings


@dataclass(frozen=True)
class Measured:
    """One way, round by round."""

    way: str
    seconds: list[float]
    of_matmul_rate: list[float]
    """Rate of the multiplications that unique tokens need in the decoder's matrices, relative to one large product in
    the same round."""
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


def measure(
    benchmark: Benchmark,
    names: list[str],
    rounds: int,
    parameters: int,
    figures: Figures,
    done: Callable[[list[Measured]], None],
) -> None:
    """All ways in turn, `rounds` times over; each round has its own rate of one large product, and `done` ends it."""
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
        done(
            [
                Measured(
                    way=way.name,
                    seconds=seconds[way.name],
                    of_matmul_rate=[
                        2 * parameters * unique / one / rate for one, rate in zip(seconds[way.name], rates, strict=True)
                    ],
                    error=errors[way.name],
                )
                for way in ways
            ]
        )


def table(report: dict[str, Any]) -> str:
    """The ways as a Markdown table; ratios are of sequences a second, to the first way, round by round."""
    first = report["results"][0]
    lines = [
        f"{report['shape']}, {report['dtype']}: {report['sequences']} sequences, {report['unique_tokens']:,} unique"
        f" tokens, {report['repeated_tokens'] / report['unique_tokens']:.2f} times as many with repeated prompts; one"
        f" large product at {report['matmul_tflops'] * 1000:,.0f} GFLOP/s:",
        "",
        "| way | sequences/s | ratio | low to high | unique tokens/s | of the matmul rate | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in report["results"]:
        if "ratio" in each:  # a run from before 2026-11-28, of which the medians alone were kept
            took, of_rate = each["seconds"], each["of_matmul_rate"]
            ratio, low, high = each["ratio"], each["ratio_low"], each["ratio_high"]
        else:
            ratios = [other / own for own, other in zip(each["seconds"], first["seconds"], strict=True)]
            took, of_rate = (statistics.median(each[name]) for name in ("seconds", "of_matmul_rate"))
            ratio, low, high = statistics.median(ratios), min(ratios), max(ratios)
        spread = "" if each is first else f"{low:.2f} to {high:.2f}"
        lines.append(
            f"| {each['way']} | {report['sequences'] / took:.1f} | {ratio:.2f} | {spread}"
            f" | {report['unique_tokens'] / took:,.0f} | {of_rate:.1%} | {each['error']:.1e} |"
        )
    return "\n".join([*lines, ""])


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
    parser.add_argument("--quick", action="store_true", help="few conversations, one round, all ways")
    parser.add_argument(
        "--times", type=float, default=None, help="size of the mix; 1 is 782 sequences; 0.5, quick 0.01"
    )
    parser.add_argument("--pack-tokens", type=int, default=None, help="8192 on a CPU, 32768 on a GPU")
    parser.add_argument("--rounds", type=int, default=None, help="3, quick 1")
    parser.add_argument("--ways", nargs="+", default=list(NAMES), help="the first is what the others are compared with")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    parser.add_argument("--stage", default="extract", help="name of this run in --figures")
    arguments = parser.parse_args()
    times = arguments.times or (0.01 if arguments.quick else 0.5)
    rounds = arguments.rounds or (1 if arguments.quick else 3)
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
    benchmark = Benchmark(RandomBackbone(config, dtype), settings, extract, times)
    rate = matmul_rate(benchmark.device, getattr(torch, dtype))
    about: dict[str, Any] = {
        "shape": arguments.shape,
        "dtype": dtype,
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

    def write(results: list[Measured]) -> None:
        about["results"] = [asdict(measured) for measured in results]
        conditions.write(arguments.json, about)

    measure(benchmark, arguments.ways, rounds, matrix_parameters(config), figures, write)
    about["peak_gpu_bytes"] = torch.cuda.max_memory_allocated() if cuda else None
    if cuda:  # after the ways, while the device is still warm
        about["matmul_tflops_afterwards"] = matmul_rate(benchmark.device, getattr(torch, dtype)) / 1e12
        about["matmul_tflops_for_seconds"] = matmul_rate(benchmark.device, getattr(torch, dtype), 1000) / 1e12
    figures.add(**{key: value for key, value in about.items() if key != "results"})
    conditions.write(arguments.json, about)
    print(table(about))


if __name__ == "__main__":
    main()
