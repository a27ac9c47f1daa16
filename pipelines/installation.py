"""The installation and the machine: versions, extras, memory, disks, devices and their speed."""

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from cache import UserError

if TYPE_CHECKING:
    import torch

PROJECT = "armorm"
MATRIX_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}
"""Flag of /proc/cpuinfo -> name of what multiplies bfloat16 in hardware."""
SHOWN = ("torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn", "polars", "pyarrow", "h5py")
"""Packages whose versions move numbers or formats."""

EXTRAS = {
    "gguf": ("gguf", "backbones in a GGUF file"),
    "judge": ("openai", "score-suite with a language model as a judge"),
    "plots": ("matplotlib", "figures of ablate, train-gating --plots and the report"),
    "ray": ("ray", "extract --workers, fit-heads --ray"),
    "server": ("fastapi", "serve"),
    "vllm": ("vllm", "the vllm engine"),
}
"""Extra -> a package of it, and what it is for."""

SIDE = 1024
"""Rows and columns of the matrices whose product is timed."""
PRODUCTS = 8
"""Products that are timed; the fastest counts."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a backbone can run on."""

    name: str
    memory_bytes: int
    matmul_gflops: dict[str, float]
    """Dtype -> billions of multiplications and additions a second in products of 1,024 x 1,024 matrices."""


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part of the installation."""

    purpose: str
    version: str | None
    """Version of its main package; None if that is not installed."""


@dataclass(frozen=True, slots=True)
class Doctor:
    """The result of `armorm doctor`."""

    versions: dict[str, str]
    machine: str
    cores: int
    """Processor cores that this process may use."""
    compiler: str | None
    """The C++ compiler that `extract.compile` needs; None if there is none."""
    devices: tuple[Device, ...]
    """The CPU, and CUDA devices."""
    extras: dict[str, Extra]
    disks: dict[str, int]
    """Folder that a run writes -> bytes free on its disk."""
    remarks: tuple[str, ...]
    """Sentences about whatever is slow or missing here, each with its remedy."""


def versions() -> dict[str, str]:
    """Versions of the project, Python and the packages that move numbers; nothing is imported for it."""
    found = {PROJECT: _version(PROJECT) or "not installed"}
    if (at := checkout_commit()) is not None:
        found[PROJECT] += f" (commit {at})"
    packages = {name: installed for name in SHOWN if (installed := _version(name)) is not None}
    return found | {"Python": platform.python_version()} | packages


def checkout_commit() -> str | None:
    """The commit of the checkout that this file lies in, with '-dirty' where files were changed; None outside one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    asked = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def extras() -> dict[str, Extra]:
    """Each optional part of the installation, with the version of its main package."""
    offered = {line.partition("extra ==")[2].strip(" '\"") for line in requires(PROJECT) or () if "extra ==" in line}
    return {name: Extra(purpose, _version(package)) for name, (package, purpose) in EXTRAS.items() if name in offered}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> str:
    """System, and the processor with its units for products in bfloat16."""
    model, units = processor()
    return f"{platform.system()} {platform.machine()}, {model}" + (f" with {' and '.join(units)}" if units else "")


def processor() -> tuple[str, tuple[str, ...]]:
    """Model name of the processor, and its units for products in bfloat16 ('AMX', 'AVX512-BF16')."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor", ()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    model = fields.get("model name") or platform.processor() or "unknown processor"
    return model, tuple(name for flag, name in MATRIX_UNITS.items() if flag in flags)


def compiler() -> str | None:
    """The C++ compiler that torch would call."""
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")


def devices() -> tuple[Device, ...]:
    """The CPU and the CUDA devices of this machine, each timed for some tenths of a second.

    Raises:
        UserError: torch cannot be imported.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError(f"torch cannot be imported ({error}): run `pip install --force-reinstall torch`") from None
    found = [Device("cpu", _memory(), _rates(torch.device("cpu")))]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = torch.device("cuda", number)
        properties = torch.cuda.get_device_properties(device)
        found.append(Device(f"cuda:{number} {properties.name}", properties.total_memory, _rates(device)))
    return tuple(found)


def _memory() -> int:
    """Bytes of main memory that this process may use: the machine's, or a container's limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if sys.platform != "win32" else 0
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory


def _rates(device: "torch.device") -> dict[str, float]:
    import torch

    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(SIDE, SIDE, dtype=dtype, device=device)  # (side, side)
        seconds = min(_seconds(matrix) for _ in range(PRODUCTS))
        rates[str(dtype).removeprefix("torch.")] = 2 * SIDE**3 / seconds / 1e9
    return rates


def _seconds(matrix: "torch.Tensor") -> float:
    import torch

    started = time.perf_counter()
    matrix @ matrix
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
    return time.perf_counter() - started
