"""`armorm doctor`: what is installed, what the machine has, and what would be slow here."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.terminal import JsonOption, console, finish

if TYPE_CHECKING:
    from pipelines.installation import Doctor

EXAMPLE = "armorm doctor"

SMALL, LARGE = 135e6, 8e9
"""Weights of SmolLM2-135M, and of the published backbone."""
MILLION = 1e6

FREE_BYTES = 20e9
"""Free disk below which the published recipe's downloads and features do not fit."""


def command(as_json: JsonOption = False) -> None:
    """Show versions, devices and their speed, extras and free disk, and what would be slow here and why."""
    result = doctor()
    finish(result, as_json, lambda: show(result))


def doctor() -> "Doctor":
    """Look at the installation and the machine; times a few matrix products on each device."""
    from huggingface_hub import constants

    from cache import StoreSettings
    from cache.cores import cores
    from extract.check.estimate import free_bytes
    from pipelines import installation

    folders = (StoreSettings().root.resolve(), Path("runs").resolve(), Path(constants.HF_HUB_CACHE))
    found = installation.Doctor(
        versions=installation.versions(),
        machine=installation.machine(),
        cores=cores(),
        compiler=installation.compiler(),
        devices=installation.devices(),
        extras=installation.extras(),
        disks={str(folder): free_bytes(folder) for folder in folders},
        remarks=(),
    )
    return replace(found, remarks=tuple(remarks(found)))


def remarks(found: "Doctor") -> Iterator[str]:
    """Sentences about whatever is slow or missing on a machine, each with its remedy."""
    cpu, *gpus = found.devices
    float32, bfloat16 = cpu.matmul_gflops["float32"], cpu.matmul_gflops["bfloat16"]
    if not gpus:
        small, large = (2 * weights * MILLION / (max(float32, bfloat16) * 1e9) for weights in (SMALL, LARGE))
        yield (
            "there is no CUDA device: a million tokens take a backbone of 135 million weights at least"
            f" {small / 60:,.0f} minutes here, and one of 8 billion {large / 3600:,.1f} hours; `armorm check --recipe"
            " R` says what a recipe takes, and `limit` makes it less"
        )
    if bfloat16 < float32:
        yield (
            f"bfloat16 is slower than float32 on this processor ({bfloat16:,.0f} and {float32:,.0f} GFLOP/s): set"
            " backbone.dtype = 'float32'"
        )
    if found.compiler is None and not gpus:
        yield (
            "there is no C++ compiler, and so decoder layers are not compiled, which saves a fifth of the time in long"
            " runs: install g++"
        )
    if (threads := os.environ.get("OMP_NUM_THREADS")) is not None and threads != str(found.cores):
        yield (
            f"OMP_NUM_THREADS is {threads}, and there are {found.cores} cores: unset it, unless something else needs"
            " them"
        )
    for folder, free in found.disks.items():
        if free < FREE_BYTES:
            yield (
                f"the disk of {folder} has {free / 1e9:,.1f} GB free: enough for small recipes; the published one needs"
                f" some {FREE_BYTES / 1e9:.0f} GB (store.root, HF_HOME)"
            )
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        yield "HF_HUB_OFFLINE is set: nothing is fetched from the hub, and what is not cached is missing"


def show(result: "Doctor") -> None:
    """Print what was found, and the remarks below it."""
    from rich.table import Table

    table = Table(show_header=False)
    for name, version in result.versions.items():
        table.add_row(name, version)
    table.add_row("machine", f"{result.machine}, {result.cores} cores for this process")
    table.add_row("C++ compiler", result.compiler or "none")
    for device in result.devices:
        rates = ", ".join(f"{dtype} {rate:,.0f}" for dtype, rate in device.matmul_gflops.items())
        table.add_row(device.name, f"{device.memory_bytes / 2**30:,.1f} GiB; matrix products in GFLOP/s: {rates}")
    for name, extra in result.extras.items():
        have = extra.version or f"not installed: pip install -e '.[{name}]'"
        table.add_row(f"extra {name}", f"{have} ({extra.purpose})")
    for folder, free in result.disks.items():
        table.add_row("disk", f"{free / 1e9:,.1f} GB free at {folder}")
    out = console()
    out.print(table)
    for remark in result.remarks:
        out.print(f"remark: {remark}", highlight=False)
    if not result.remarks:
        out.print("nothing stands out", highlight=False)
