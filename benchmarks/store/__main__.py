"""The feature store compared with the formats that one would use instead, on the same rows, in turns.

    OMP_NUM_THREADS=1 python -m benchmarks.store --json benchmarks/store.json

Ways: a bare NumPy array, safetensors, Zarr 3 without and with CRC-32C, Lance, Hugging Face datasets (Arrow), and this
project's store with Parquet and HDF5 shards. `settings` in the JSON says how each was set, and why.

- All get the same float32 rows, a shard at a time as an extraction has them, and store float16, uncompressed. Each
  shard is durable before the next: no library makes it so, and an fsync of every new file is part of its seconds.
- All read into float32. Where a library leaves the conversion to its user, torch does it, on one thread.
- Files are in the system's memory when they are read, so the comparison is of formats and not of the disk. A reader is
  opened before every reading, so that no memory map has its pages already; opening is timed by itself.
- A gather looks rows up by number where the library knows no keys, and its user must know the numbers. The store looks
  them up by key; Lance does both.
- 1 GB in eight ways needs 9 GB of disk, and 12 GB of memory that is free. All of it takes about ten minutes.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.store.plan import FULL, QUICK, measure
from benchmarks.store.tables import table
from cache import UserError


def main() -> None:
    """Measure, write JSON after every part, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--folder", type=Path, help="folder of the files; by default a temporary one")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, all ways")
    arguments = parser.parse_args()
    sys.stdout.write(table(measure(QUICK if arguments.quick else FULL, arguments.json, arguments.folder)))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"benchmarks.store: {error}", file=sys.stderr)
        raise SystemExit(2) from None
