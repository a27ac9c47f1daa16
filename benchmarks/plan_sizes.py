"""The plan of an extraction at three sizes: seconds and memory to plan it, write it, and take it up again.

    python -m benchmarks.plan_sizes --json FILE

Prompts have four responses with the lengths of the rating sets (`benchmarks/length_mix.py`), drawn as numbers:
a plan depends on keys and lengths alone. Each size runs in a process of its own; memory is what it grew by after the
request was there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditions import Conditions
from benchmarks.length_mix import LONGEST, MIX
from benchmarks.markdown import markdown_table
from benchmarks.process_memory import peak_bytes, resident_bytes
from cache import FeatureStore, Fingerprint
from extract.encoded import TokenIds
from extract.packing import Request
from extract.plan import plan_shards
from extract.tokens.spans import Span

ROWS = (57_000, 570_000, 5_700_000)
RESPONSES = 4
PACK_TOKENS = 8192
SHARD_ROWS = 8192


class NoTokens:
    """A source whose ids nobody reads."""

    def read(self, start: int, tokens: int) -> TokenIds:
        """Refuse."""
        raise AssertionError(f"a plan needs no ids, and {tokens} from {start} on were asked for")

    def place(self, start: int) -> str:
        """The place of a span."""
        return f"id {start}"


def main() -> None:
    """Measure every size, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--quick", action="store_true", help="small sizes, as a trial")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each size")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    conditions = Conditions()
    results: list[dict[str, Any]] = []
    for rows in (5_000, 50_000, 200_000) if arguments.quick else arguments.rows:
        command = [sys.executable, "-m", "benchmarks.plan_sizes", "--measure", str(rows)]
        results.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
        conditions.write(arguments.json, {"results": results})
        print(table({"results": results}), flush=True)


def measure(rows: int) -> dict[str, Any]:
    """One size in this process."""
    started = time.perf_counter()
    request = a_request(rows)
    keys = request.keys()
    made, before = time.perf_counter(), resident_bytes()
    fingerprint = Fingerprint("random", "t", "c", "p", (-1,), "float32", "float16", "packed")
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.create(Path(folder), fingerprint, 4096)
        planned = plan_shards(store, request, keys, PACK_TOKENS, SHARD_ROWS)
        first = time.perf_counter()
        packs, shards = sum(len(shard.packs) for shard in planned), len(planned)
        tokens = request.tokens_of([item for shard in planned for pack in shard.packs for item in pack])
        peak = peak_bytes()
        del planned
        again = time.perf_counter()
        taken_up = plan_shards(store, request, keys, PACK_TOKENS, SHARD_ROWS)
        done = time.perf_counter()
        if sum(len(shard.packs) for shard in taken_up) != packs:
            raise AssertionError("the plan that was taken up is another one")
    return {
        "rows": rows,
        "sequences": len(keys),
        "requesting": made - started,
        "planning": first - made,
        "taking_up": done - again,
        "grown_bytes": peak - before,
        "grown_again_bytes": peak_bytes() - before,
        "packs": packs,
        "shards": shards,
        "full": tokens / (packs * PACK_TOKENS),
    }


def a_request(rows: int) -> Request:
    """Prompts with four responses each, of random keys and lengths like the mix's."""
    rng = np.random.default_rng(0)
    means = np.array([(prompt, response) for _, _, _, prompt, response in MIX])
    shares = np.array([prompts for _, prompts, *_ in MIX], dtype=np.float64)
    prompts = rows // RESPONSES
    kind = rng.choice(len(MIX), prompts, p=shares / shares.sum())
    of_prompt = lengths(rng, means[kind, 0])
    of_responses = lengths(rng, np.repeat(means[kind, 1], RESPONSES)).reshape(-1, RESPONSES)
    keys = rng.integers(0, 256, (prompts, 1 + RESPONSES, 16), dtype=np.uint8)
    request = Request(NoTokens())
    start = 0
    for own, n, counts in zip(keys, of_prompt.tolist(), of_responses.tolist(), strict=True):
        prompt = Span(own[0].tobytes(), start, n)
        request.add_spans(
            prompt, [Span(key.tobytes(), start, count) for key, count in zip(own[1:], counts, strict=True)]
        )
        start += n + sum(counts)
    return request


def lengths(rng: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """Numbers of tokens whose means are given, as `mixed_conversations` draws numbers of words."""
    return np.clip((rng.lognormal(0, 0.7, mean.shape) * mean / 1.28).astype(np.int64), 4, LONGEST)


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    heads = ("rows", "sequences", "packs", "full", "planning", "µs a row", "taking it up", "µs a row")
    heads += ("memory grew by", "bytes a row", "taking it up")
    lines = []
    for one in report["results"]:
        rows = one["rows"]
        cells = [
            f"{rows:,}",
            f"{one['sequences']:,}",
            f"{one['packs']:,}",
            f"{one['full']:.1%}",
            f"{one['planning']:.1f} s",
            f"{1e6 * one['planning'] / rows:.1f}",
            f"{one['taking_up']:.1f} s",
            f"{1e6 * one['taking_up'] / rows:.1f}",
            f"{one['grown_bytes'] / 1e6:,.0f} MB",
            f"{one['grown_bytes'] / rows:,.0f}",
            f"{one['grown_again_bytes'] / 1e6:,.0f} MB",
        ]
        lines.append(cells)
    return markdown_table(heads, lines)


if __name__ == "__main__":
    main()
