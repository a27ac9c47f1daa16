"""Products of blocks on another device: the sums of the CPU, taken only where that is faster."""

import logging

import numpy as np
import pytest
import torch

from cache import UserError
from heads.ridge import products
from heads.ridge.group import BLOCK_ROWS
from heads.ridge.products import TRIAL_ROWS, BlockProducts, TorchProducts
from heads.ridge.statistics import GramStatistics
from heads.ridge.symmetric import Real

WIDTH = 1100
"""Wide enough to be multiplied in float32."""


class Full(TorchProducts):
    """A device without room."""

    def product(self, *_: Real) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 64.00 MiB")


@pytest.fixture
def block() -> Real:
    return np.random.default_rng(0).standard_normal((BLOCK_ROWS, WIDTH), dtype=np.float32) + np.float32(0.5)


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def assert_near_float64(lower: Real, x: Real) -> None:
    exact = x.astype(np.float64).T @ x.astype(np.float64)  # (d, d)
    length = np.sqrt(exact.diagonal())
    assert np.abs((np.tril(lower) - np.tril(exact)) / np.outer(length, length)).max() < 2e-6


def devices() -> list[object]:
    gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, gpu])]


@pytest.mark.parametrize("device", devices())
def test_pytorch_multiplies_in_full_float32_whatever_the_process_has_chosen(device: str, block: Real) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        chosen = torch.backends.cuda.matmul.fp32_precision
        out = np.full((WIDTH, WIDTH), np.nan, np.float32, order="F")
        made = TorchProducts(device)
        for _ in range(2):  # the second time in the memory of the first
            made.product(block, out)
            assert_near_float64(out, block)
        assert torch.backends.cuda.matmul.fp32_precision == chosen == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("device", devices())
def test_sums_on_a_device_are_those_of_the_cpu(
    device: str, block: Real, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(products, "_gpu", lambda: TorchProducts(device))
    found = []
    for where in ("cpu", "cuda"):
        statistics = GramStatistics(("a",), WIDTH, storage="float32", device=where)
        for rows in np.array_split(block, 3):
            statistics.add("set", "train", rows, np.ones((len(rows), 1)))
        statistics.flush()
        assert not next(iter(statistics.groups.values())).is_rows
        found.append(statistics.subset(0).xx())
    length = np.sqrt(found[0].diagonal())
    np.testing.assert_allclose(found[1] / np.outer(length, length), found[0] / np.outer(length, length), atol=1e-6)
    assert not caplog.text


def test_a_trial_takes_the_faster_one(
    block: Real, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(products, "_gpu", lambda: TorchProducts("cpu"))
    for seconds in ([0.001, 0.002], [0.002, 0.001]):
        times = iter(seconds)
        monkeypatch.setattr(products, "_seconds", lambda *_, times=times: next(times))
        calls: list[int] = []

        class Counted(TorchProducts):
            def product(self, x: Real, out: Real, calls: list[int] = calls) -> None:
                calls.append(len(x))
                super().product(x, out)

        monkeypatch.setattr(products, "_gpu", lambda counted=Counted: counted("cpu"))
        scratch = BlockProducts("auto")
        assert_near_float64(scratch.product(block[: TRIAL_ROWS - 1]), block[: TRIAL_ROWS - 1])  # too short to tell
        assert "a product of" not in caplog.text
        for _ in range(2):
            assert_near_float64(scratch.product(block), block)
        assert calls == ([BLOCK_ROWS] * 2 if seconds[0] < seconds[1] else [])
        assert f"a product of {BLOCK_ROWS} rows and {WIDTH} columns takes {1000 * seconds[0]:.1f} ms on" in caplog.text
        caplog.clear()


def test_products_in_float64_and_sums_of_several_blocks_stay_on_the_cpu(
    block: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_gpu", lambda: Full("cpu"))
    scratch = BlockProducts("cuda")
    assert_near_float64(scratch.product(block.astype(np.float64)), block)
    halves = [np.ascontiguousarray(half) for half in np.split(block, 2)]
    plain = BlockProducts()
    plain.product(halves[0])
    assert_near_float64(plain.product(halves[1], add=True), block)


def test_a_gpu_without_room_is_left_and_where_it_was_asked_for_a_sentence(
    block: Real, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(products, "_gpu", lambda: Full("cpu"))
    scratch = BlockProducts("auto")
    for _ in range(2):
        assert_near_float64(scratch.product(block), block)
    told = "the CPU makes products of 1100 columns, since the GPU did not: CUDA out of memory."
    assert [record.message for record in caplog.records] == [told]
    with pytest.raises(UserError, match=r"the GPU made no product of 1100 columns \(CUDA out of memory\.\): take"):
        BlockProducts("cuda").product(block)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(block: Real, caplog: pytest.LogCaptureFixture) -> None:
    assert_near_float64(BlockProducts("auto").product(block), block)
    assert not caplog.text
    with pytest.raises(UserError, match="--device cuda needs a GPU that PyTorch can use, and it finds none"):
        BlockProducts("cuda")
