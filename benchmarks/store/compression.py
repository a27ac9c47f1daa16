"""Compression of float16 features: what it saves, and what reading then costs, which is why no way compresses."""

import time
from typing import Any

import numpy as np

from benchmarks.store.way import Rows, to_float16


def measure(rows: Rows) -> list[dict[str, Any]]:
    """Bytes left and MB/s of decoding by zstd and LZ4, on values as they lie and on their bytes shuffled.

    The values are random and normal, of which about 13 bits in 16 are information; a model's may leave a codec more.
    """
    import pyarrow as pa

    values = to_float16(rows.features)
    lying = values.tobytes()
    shuffled = np.ascontiguousarray(values.reshape(-1).view(np.uint8).reshape(-1, 2).T).tobytes()
    lines = []
    for codec in ("zstd", "lz4"):
        for order, data in (("as they lie", lying), ("shuffled", shuffled)):
            small = pa.compress(data, codec=codec)
            seconds = []
            for _ in range(3):
                started = time.perf_counter()
                pa.decompress(small, len(data), codec=codec)
                seconds.append(time.perf_counter() - started)
            lines.append(
                {"codec": codec, "order": order, "left": len(small) / len(data), "mb_s": len(data) / min(seconds) / 1e6}
            )
    return lines
