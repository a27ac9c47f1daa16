"""A pass reads rows in batches so long that their pieces, one for each group, are worth an addition to its sums."""

from pathlib import Path

import numpy as np

from cache import FeatureStore, Fingerprint
from heads.ridge.rated_rows import BATCH_BYTES, RatedRows, add_rows
from heads.ridge.statistics import GramStatistics

ROWS, WIDTH = 2100, 4096


def test_a_batch_has_as_many_rows_as_fit_into_its_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store = FeatureStore.create(tmp_path, Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", "packed"), WIDTH)
    keys = rng.integers(0, 256, (ROWS, 16), dtype=np.uint8)
    features = rng.standard_normal((ROWS, 1, WIDTH), dtype=np.float32)
    with store.writing():
        store.seal("00", keys, np.ones(ROWS, np.int32), features)
    zeros = np.zeros(ROWS, np.int64)
    rows = RatedRows(keys, np.arange(ROWS), rng.random((ROWS, 1)), zeros, zeros, (("all", "train"),))
    statistics = GramStatistics(("a",), WIDTH, storage="float16")
    added: list[int] = []
    add_rows(statistics, FeatureStore.open(tmp_path, store.description.fingerprint.digest), rows, added.append)
    most = BATCH_BYTES // (4 * WIDTH)
    assert added == [most, 2 * most, ROWS]
    expected = features[:, 0].astype(np.float16).astype(np.float64).T @ rows.targets
    np.testing.assert_allclose(statistics.subset().xy, expected, rtol=1e-5, atol=1e-4)
