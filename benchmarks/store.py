"""The feature store compared with a bare NumPy array: throughput, bytes on disk, random rows, memory.

    python -m benchmarks.store --json benchmarks/store.json

Everything is measured in one run on one machine, so read the ratios. Files are in the system's memory when
they are read, so that the comparison is of formats and checksums and not of the disk.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache import FeatureStore, Fingerprint
from cache.formats import FORMATS, FormatName
from cache.keys import Keys

SIZES = ((16_384, 1_024), (131_072, 1_024), (16_384, 4_096), (131_072, 4_096))
"""Numbers of rows and of values per row: 34 MB, 268 MB, 134 MB and 1.07 GB of float16."""

PROMPTS = 80_000
"""Rows of the gather that `train-gating` and `eval` make, of as many prompts, in their tables' order."""

PROMPT_WIDTH = 1_024
"""Values per row at which that gather is measured."""

REPEATS = 7
"""Rounds of reading, in each of which every way has its turn; the fewest seconds count, since others disturb."""

SHARD_ROWS = 8_192
BLOCK_ROWS = 1_024
"""Rows of a block in which the bare array is read, as in a stream's batches."""

STREAM = """
import resource, sys
from pathlib import Path
import numpy as np
from cache import FeatureStore
from cache.sealed_shard import SealedShard
store = FeatureStore.open(Path(sys.argv[1]), sys.argv[2])
keys = np.concatenate([SealedShard(store.folder, entry, store.description).index().keys for entry in store.entries])
page = resource.getpagesize()
virtual, before = (int(value) * page for value in Path("/proc/self/statm").read_text().split()[:2])
limit = virtual + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
batch = 0
for _, features in store.stream(keys):
    features.sum()
    batch = max(batch, features.nbytes)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) * 1024  # of this process alone: ru_maxrss would include its parent
print(before, peak, batch)
"""


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--folder", type=Path, help="folder of the stores; by default a temporary one")
    parser.add_argument("--small", action="store_true", help="a hundredth of the rows, as a trial")
    arguments = parser.parse_args()
    shrink = 100 if arguments.small else 1
    results = []
    for rows, width in SIZES:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            results += measure(Path(folder), rows // shrink, width)
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "pyarrow", "h5py")}
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": versions,
        "results": results,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(table(report))


@dataclass(frozen=True, slots=True)
class Reads:
    """Repeated work: a whole stream into float32, and gathers in request order."""

    stream: Callable[[], object]
    hundredth: Callable[[], object]
    prompts: Callable[[], object] | None


def measure(folder: Path, rows: int, width: int) -> list[dict[str, Any]]:
    """One line for the bare array and one for each format, at one size."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((rows, width), dtype=np.float32)
    keys = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    wanted = rng.choice(rows, max(1, rows // 100), replace=False)
    prompts = rng.choice(rows, PROMPTS, replace=False) if width == PROMPT_WIDTH and rows > PROMPTS else None
    payload = rows * width * 2
    made = [_bare(folder, features, wanted, prompts)]
    made += [_store(folder, features, keys, wanted, prompts, shard_format) for shard_format in FORMATS]
    shard = features[:SHARD_ROWS].astype(np.float16).view(np.uint8)
    del features
    lines = [line for line, _ in made]
    (crc,) = alternating([lambda: [zlib.crc32(row) for row in shard]])
    for name in ("stream", "hundredth", "prompts"):
        if getattr(made[0][1], name) is not None:
            taken = alternating([getattr(reads, name) for _, reads in made])
            for line, once in zip(lines, taken, strict=True):
                line[f"{name}_s"] = once
    for line in lines:
        line |= {"rows": rows, "width": width, "payload": payload}
        line["write_mb_s"] = payload / line.pop("write_s") / 1e6
        line["read_mb_s"] = payload / line["stream_s"] / 1e6
        line["checksums_share_of_read"] = crc * max(1.0, rows / SHARD_ROWS) / line.pop("stream_s")
        line["gather_ms"] = 1e3 * line.pop("hundredth_s")
        line["size"] = line["bytes"] / payload
    lines[0]["checksums_share_of_read"] = 0.0
    return lines


def _bare(
    folder: Path, features: np.ndarray, wanted: np.ndarray, prompts: np.ndarray | None
) -> tuple[dict[str, Any], Reads]:
    """`np.save` and fsync; a memory map, turned into float32 block by block."""
    path = folder / "bare.npy"

    def write() -> None:
        with path.open("wb") as file:
            np.save(file, features.astype(np.float16), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())

    def read() -> None:
        stored = np.load(path, mmap_mode="r")
        for start in range(0, len(stored), BLOCK_ROWS):
            stored[start : start + BLOCK_ROWS].astype(np.float32)

    def gather(rows: np.ndarray) -> np.ndarray:
        return np.load(path, mmap_mode="r")[rows].astype(np.float32)  # type: ignore[no-any-return]

    line: dict[str, Any] = {"what": "numpy", "write_s": seconds(write), "bytes": path.stat().st_size}
    return line, Reads(read, lambda: gather(wanted), None if prompts is None else lambda: gather(prompts))


def _store(
    folder: Path,
    features: np.ndarray,
    keys: Keys,
    wanted: np.ndarray,
    prompts: np.ndarray | None,
    shard_format: FormatName,
) -> tuple[dict[str, Any], Reads]:
    """The store: sealing with all of its checks; streaming and gathering with a checksum for every row."""
    rows, width = features.shape
    digest = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", shard_format)
    store = FeatureStore.create(folder, digest, width, shard_format)

    def write() -> None:
        with store.writing():
            for start in range(0, rows, SHARD_ROWS):
                some = slice(start, start + SHARD_ROWS)
                count = len(keys[some])
                store.seal(f"{start:08d}", keys[some], np.ones(count, np.int32), features[some].reshape(count, 1, -1))

    line: dict[str, Any] = {"what": shard_format, "write_s": seconds(write)}
    line["open_ms"] = 1e3 * seconds(lambda: FeatureStore.open(folder, digest.digest))
    store.refresh()
    line["bytes"] = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
    if not np.array_equal(store.gather(keys[wanted])[:, 0], features[wanted].astype(np.float16).astype(np.float32)):
        raise AssertionError("the store gave other values back")
    reads = Reads(
        lambda: [part.shape for _, part in store.stream(keys)],
        lambda: store.gather(keys[wanted]),
        None if prompts is None else lambda: store.gather(keys[prompts]),
    )
    return line | _memory(folder, digest.digest, rows * width * 2), reads


def _memory(folder: Path, digest: str, payload: int) -> dict[str, Any]:
    """Stream in a separate process that may use 256 MB more address space than it has at the start."""
    limit = 256 << 20
    command = [sys.executable, "-c", STREAM, str(folder), digest, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, peak, batch = map(int, done.stdout.split())
    return {
        "stream_limit_mb": limit / 1e6,
        "stream_grew_mb": (peak - before) / 1e6,
        "stream_batch_mb": batch / 1e6,
        "stream_store_over_limit": payload / limit,
    }


def alternating(ways: list[Callable[[], object]]) -> list[float]:
    """Fewest seconds of each way, over rounds in which every way has its turn."""
    rounds = [[seconds(way) for way in ways] for _ in range(REPEATS)]
    return np.min(rounds, axis=0).tolist()  # type: ignore[no-any-return]


def seconds(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table; ratios are to the bare array of the same size."""
    heads = ("payload", "what", "write MB/s", "ratio", "read MB/s", "ratio", "of it checksums", "1 % of rows")
    heads += ("ratio", f"{PROMPTS:,} rows", "ratio", "bytes / payload", "memory grew by", "of it a batch")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    bare: dict[str, Any] = {}
    for line in report["results"]:
        bare = line if line["what"] == "numpy" else bare
        cells = [
            f"{line['rows']:,} × {line['width']:,}, {line['payload'] / 1e6:,.0f} MB",
            line["what"],
            f"{line['write_mb_s']:,.0f}",
            f"{line['write_mb_s'] / bare['write_mb_s']:.2f}",
            f"{line['read_mb_s']:,.0f}",
            f"{line['read_mb_s'] / bare['read_mb_s']:.2f}",
            f"{line['checksums_share_of_read']:.0%}",
            f"{line['gather_ms']:,.0f} ms",
            f"{line['gather_ms'] / bare['gather_ms']:.1f}",
            f"{line['prompts_s']:.2f} s" if "prompts_s" in line else "",
            f"{line['prompts_s'] / bare['prompts_s']:.1f}" if "prompts_s" in line else "",
            f"{line['size']:.4f}",
            f"{line['stream_grew_mb']:,.0f} MB" if "stream_grew_mb" in line else "",
            f"{line['stream_batch_mb']:,.0f} MB" if "stream_batch_mb" in line else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines.append(f"\n{report['machine']}, Python {report['python']}, {versions}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
