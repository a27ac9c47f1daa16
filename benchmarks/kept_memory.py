"""A pass on a CPU with and without keeping the memory of the pass before it, in two processes that take turns.

    python -m benchmarks.kept_memory --json kept_memory.json

Each process holds one engine and no other, in one thread and uncompiled: a process in which larger blocks were freed
before keeps its memory by itself. Times are those of the processor, so that other work in between does not count.
"""

import argparse
import hashlib
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from benchmarks.conditions import Conditions
from benchmarks.extract_ways import Benchmark
from benchmarks.random_backbone import SMOLLM2_135M, TINY, RandomBackbone
from extract.engines import packed
from extract.engines.smaller_packs import cut
from extract.settings import BackboneSettings, ExtractSettings

PASSES = {
    "SmolLM2-135M, bfloat16": ("smollm2", "bfloat16"),
    "SmolLM2-135M, float32": ("smollm2", "float32"),
    "bundled, float32": ("tiny", "float32"),
}
"""Name of a pass -> shape and dtype of its backbone."""

SLOW = "SmolLM2-135M, float32"
"""The pass that --quick leaves out."""

LEAST_TOKENS, MOST_TOKENS = 1800, 2048
"""A pass of a CPU has up to 2,048 tokens; the one that is timed has at least 1,800."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--turns", type=int, default=None, help="8, quick 2")
    parser.add_argument("--quick", action="store_true", help="few turns, of the passes that take less than two seconds")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--one", nargs=2, metavar=("PASS", "KEEP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        answer(arguments.one[0], keep=arguments.one[1] == "kept")
        return
    conditions = Conditions()
    turns = arguments.turns or (2 if arguments.quick else 8)
    report: dict[str, Any] = {"turns": turns, "results": {}}
    for name in (name for name in PASSES if not (arguments.quick and name == SLOW)):
        report["results"][name] = compare(name, turns)
        conditions.write(arguments.json, report)
    print(table(report))


def table(report: dict[str, Any]) -> str:
    """The passes as a Markdown table; a ratio is that of processor time, given back to kept, turn by turn."""
    lines = [
        "| pass | given back | kept | ratio | low to high | page faults given back | kept | same bytes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in report["results"].items():
        before, after = found["seconds"]["given back"], found["seconds"]["kept"]
        ratios = [one / other for one, other in zip(before, after, strict=True)]
        faults = {way: f"{statistics.median(counts):,.0f}" for way, counts in found["page_faults"].items()}
        lines.append(
            f"| {name} | {statistics.median(before):.2f} s | {statistics.median(after):.2f} s"
            f" | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"
            f" | {faults['given back']} | {faults['kept']} | {'yes' if found['same_bytes'] else 'no'} |"
        )
    return "\n".join([*lines, ""])


def compare(name: str, turns: int) -> dict[str, Any]:
    """Processor seconds and page faults of a pass either way, turn by turn."""
    ways = {way: _start(name, way) for way in ("given back", "kept")}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    faults: dict[str, list[int]] = {way: [] for way in ways}
    digests = set()
    for turn in range(turns):
        for way in sorted(ways, reverse=turn % 2 == 1):
            took, faulted, digest = _ask(ways[way])
            seconds[way].append(took)
            faults[way].append(faulted)
            digests.add(digest)
    for process in ways.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return {"seconds": seconds, "page_faults": faults, "same_bytes": len(digests) == 1}


def _start(name: str, way: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.kept_memory", "--one", name, way]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _ask(process: "subprocess.Popen[str]") -> tuple[float, int, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    seconds, faults, digest = process.stdout.readline().split()
    return float(seconds), int(faults), digest


def answer(name: str, *, keep: bool) -> None:
    """Compute the pass once for every line of standard input, and print its seconds, page faults and digest."""
    if not keep:
        packed.keep_freed_memory = lambda _device: None
    torch.set_num_threads(1)
    shape, dtype = PASSES[name]
    config = SMOLLM2_135M if shape == "smollm2" else AutoConfig.from_pretrained(TINY)
    config.max_position_embeddings = 8192
    settings = BackboneSettings(model=str(TINY), dtype=dtype, max_tokens=8192)  # type: ignore[arg-type]
    extract = ExtractSettings(pack_tokens=8192, compile="never")
    benchmark = Benchmark(RandomBackbone(config, dtype), settings, extract, 0.04)
    packs = [part for pack in benchmark.packs for part in cut(pack, MOST_TOKENS)]
    full = [pack for pack in packs if len(pack.token_ids) >= LEAST_TOKENS][:1]
    engine = packed.PackedEngine(benchmark.backbone, settings, extract, benchmark.device)
    list(engine.features(full))
    print("ready", flush=True)
    for _ in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF)
        (features,) = engine.features(full)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        digest = hashlib.sha256(features.tobytes()).hexdigest()[:16]
        print(seconds, after.ru_minflt - before.ru_minflt, digest, flush=True)


if __name__ == "__main__":
    main()
