"""Fitting the heads at ten times the published size, on features that are removed as they are read.

    python -m benchmarks.heads_sizes --json FILE
    python -m benchmarks.heads_sizes --layers 3 --rows 142500 285000 570000 --json FILE

5.7 million rows of 4,096 values are 47 GB. They come in waves: processes make two stores at once, as `armorm extract`
writes them; then the process that is measured, and nothing else, adds them to the statistics as `armorm fit-heads`
does, and they are removed. The waves add up to sums over all rows, since sums are what fitting needs. Its clock runs
while it adds, saves and solves, not while features are made. At every size of --rows the statistics are saved and read
back and all heads are fitted from them.

With several layers the sums of each layer stand side by side (`heads.joint_layers = false`), and heads are fitted for
each layer.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditions import Conditions
from benchmarks.markdown import markdown_table
from benchmarks.process_memory import peak_bytes
from cache import FeatureStore, Fingerprint
from heads.objectives import PUBLISHED_OBJECTIVES
from heads.ridge.files import FOLDER, Origin, load_statistics, save_statistics
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import FRACTIONS
from heads.settings import HeadSettings

ROWS = (570_000, 2_850_000, 5_700_000)
WIDTH = 4096
WAVE_ROWS = 142_500
"""Rows of a store; two are made at once."""
STORES = 2
SHARD_ROWS = 8192
PATTERNS = (5, 5, 1, 1, 1, 1, 5)
"""Objectives that are rated together: the nineteen of the published model in seven rating patterns."""
VALIDATION = 0.1
ALPHAS = tuple(10.0**power for power in range(-2, 7))
NAMES = tuple(objective.name for objective in PUBLISHED_OBJECTIVES)


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), help="sizes at which heads are fitted")
    parser.add_argument("--width", type=int, default=WIDTH, help="values of a feature of one layer")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small sizes, as a trial")
    parser.add_argument("--folder", type=Path, help="folder of the stores; by default a temporary one")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each size")
    parser.add_argument("--make", nargs=3, metavar=("FOLDER", "SEED", "ROWS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.width = [5_000, 20_000, 50_000], 512
    if arguments.make:
        folder, seed, rows = arguments.make
        make(Path(folder), int(seed), int(rows), arguments.width, arguments.layers)
        return
    conditions = Conditions()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        summing = Summing(Path(folder), arguments.width, arguments.layers)
        for done, rows in pairwise([0, *sorted(arguments.rows)]):
            wave = min(WAVE_ROWS, -(-(rows - done) // STORES))
            starts = list(range(done, rows, wave))
            for number in range(0, len(starts), STORES):
                sizes = [min(wave, rows - start) for start in starts[number : number + STORES]]
                summing.wave([start // wave + 1000 * rows for start in starts[number : number + STORES]], sizes)
            results.append(summing.fit())
            report = {"width": arguments.width, "layers": arguments.layers, "results": results}
            conditions.write(arguments.json, report)
    print(table(report))


class Summing:
    """The statistics of all waves so far.

    Args:
        folder: of the stores and the statistics.
        width: values of a feature of one layer.
        layers: number of layers.
    """

    def __init__(self, folder: Path, width: int, layers: int) -> None:
        self._folder = folder
        self._width = width
        self._layers = layers
        self._rows = 0
        self._seconds = 0.0
        self._processor = 0.0
        self._statistics = GramStatistics(
            NAMES,
            width * layers,
            layers=layers,
            joint=layers == 1,
            storage="float16",
            spill=folder / FOLDER,
        )

    def wave(self, seeds: list[int], sizes: list[int]) -> None:
        """Make stores of some sizes, add their rows, and remove them."""
        folders = [self._folder / f"wave-{seed}" for seed in seeds]
        shape = ["--width", str(self._width), "--layers", str(self._layers)]
        command = [sys.executable, "-m", "benchmarks.heads_sizes", *shape, "--make"]
        making = [
            subprocess.Popen([*command, str(folder), str(seed), str(rows)])
            for folder, seed, rows in zip(folders, seeds, sizes, strict=True)
        ]
        for process in making:
            if process.wait():
                raise subprocess.CalledProcessError(process.returncode, process.args)
        for folder in folders:
            store = FeatureStore.open(folder, fingerprint(self._layers).digest)
            rows = rated_rows(folder)
            started, used = time.perf_counter(), time.process_time()
            add_rows(self._statistics, store, rows, lambda _: None)
            self._seconds += time.perf_counter() - started
            self._processor += time.process_time() - used
            self._rows += len(rows.targets)
            del store
            shutil.rmtree(folder)
        rate = self._rows / self._seconds
        print(f"{self._rows:,} rows, {self._seconds:.0f} s of adding, {rate:,.0f} rows/s", file=sys.stderr, flush=True)

    def fit(self) -> dict[str, Any]:
        """Save the statistics, read them back, and fit all heads; the figures at this size."""
        started = time.perf_counter()
        save_statistics(self._folder, self._statistics, Origin(), "")
        saved = time.perf_counter()
        statistics = load_statistics(self._folder).statistics
        if (summed := sum(group.n for group in statistics.groups.values())) != self._rows:
            raise AssertionError(f"the statistics hold {summed:,} rows of {self._rows:,}")
        pearson = []
        for layer in range(self._layers):
            own: dict[str, Any] = {} if self._layers == 1 else {"layer": layer, "joint_layers": False}
            settings = HeadSettings(alphas=ALPHAS, uncertainty=False, **own)
            fitted = fit_heads(statistics, settings, skip_unfit=False).objectives
            pearson += [head.pearson for head in fitted]
        solved = time.perf_counter()
        return {
            "rows": self._rows,
            "pass": self._seconds,
            "processor": self._processor,
            "save": saved - started,
            "solve": solved - saved,
            "peak_bytes": peak_bytes(),
            "statistics_bytes": sum(path.stat().st_size for path in (self._folder / FOLDER).iterdir()),
            "mean_pearson": float(np.mean(pearson)),
        }


def make(folder: Path, seed: int, rows: int, width: int, layers: int) -> None:
    """A store of random features whose variances fall off by a power law, and ratings planted in them.

    Magnitudes are uniform between a half and one, or one and two, which costs little to draw; what they are does not
    change the time of a product.
    """
    rng = np.random.default_rng(seed)
    spread = np.arange(1, width + 1, dtype=np.float32) ** -0.25  # (d,) standard deviations; variances: ^-0.5
    planted = np.random.default_rng(0).standard_normal((width, len(NAMES))).astype(np.float32) / np.sqrt(width)
    edges = np.cumsum([0, *PATTERNS])
    columns = [np.arange(first, last) for first, last in pairwise(edges)]
    pattern = rng.integers(0, len(PATTERNS), rows)
    targets = np.full((rows, len(NAMES)), np.nan)
    keys = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    store = FeatureStore.create(folder, fingerprint(layers), width)
    with store.writing():
        for begin in range(0, rows, SHARD_ROWS):
            n = min(SHARD_ROWS, rows - begin)
            bits = rng.integers(0, 1 << 16, (n, layers, width), dtype=np.uint16)
            bits = (bits & 0x87FF) | 0x3800  # float16 of either sign, with the two largest exponents up to 2
            features = bits.view(np.float16).astype(np.float32) * spread
            features = features.astype(np.float16).astype(np.float32)
            noise = rng.standard_normal((n, len(NAMES)), dtype=np.float32)
            rated = np.clip(np.round(5 * (0.5 + 0.8 * (features[:, 0] @ planted) + 0.15 * noise)), 0, 5) / 5
            for number, own in enumerate(columns):
                these = np.flatnonzero(pattern[begin : begin + n] == number)
                targets[begin + these[:, None], own] = rated[these[:, None], own]
            store.seal(f"{begin:08d}", keys[begin : begin + n], np.ones(n, np.int32), features)
    np.savez(folder / "rows.npz", keys=keys, targets=targets, held_out=rng.random(rows) < VALIDATION)


def rated_rows(folder: Path) -> RatedRows:
    """The rows of a store, as `armorm fit-heads` divides them."""
    data = np.load(folder / "rows.npz")
    keys, held_out = data["keys"], data["held_out"]
    buckets = np.searchsorted(FRACTIONS, keys[:, 0] / 256.0, side="right")
    buckets[held_out] = 0
    parts = (("all", "train"), ("all", "validation"))
    return RatedRows(keys, np.arange(len(keys)), data["targets"], buckets, held_out.astype(np.int64), parts)


def fingerprint(layers: int) -> Fingerprint:
    """Fingerprint of features that no backbone made."""
    return Fingerprint("random", "t", "c", "p", tuple(range(-layers, 0)), "float32", "float16", "packed")


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table; the last column compares rows a second with the smallest size."""
    heads = ("rows × values", "the pass", "rows/s", "of the smallest size's", "processor µs a row")
    heads += ("of the smallest size's", "saving", "all solves", "peak memory", "statistics on disk")
    heads += ("mean Pearson, held out",)
    lines = []
    layers = f" × {report['layers']} layers" if report["layers"] > 1 else ""
    first = report["results"][0]
    least = first["processor"] / first["rows"]
    for one in report["results"]:
        rate = one["rows"] / one["pass"]
        cells = [
            f"{one['rows']:,}{layers} × {report['width']:,}",
            f"{one['pass']:,.1f} s",
            f"{rate:,.0f}",
            f"{rate / (first['rows'] / first['pass']):.3f}",
            f"{1e6 * one['processor'] / one['rows']:.0f}",
            f"{one['processor'] / one['rows'] / least:.3f}",
            f"{one['save']:.1f} s",
            f"{one['solve']:.1f} s",
            f"{one['peak_bytes'] / 1e9:.2f} GB",
            f"{one['statistics_bytes'] / 1e9:.2f} GB",
            f"{one['mean_pearson']:.3f}",
        ]
        lines.append(cells)
    return markdown_table(heads, lines)


if __name__ == "__main__":
    main()
