"""The conditions of a measurement: command, machine, versions, commit, date, and the share of other work.

A figure that was measured beside other work is marked by itself: `others` is the share of the processor's time that
processes outside the benchmark took while it ran, from /proc/stat; None where the system does not tell.
"""

import json
import os
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.cores import cores
from cache.durable import write_text
from pipelines.installation import checkout_commit, machine, processor, versions

BUSY = 0.1
"""Share of the cores from which on other work spoils a measurement."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "ONEDNN_MAX_CPU_ISA")
"""Environment variables that change what a benchmark measures; they stand before its command where they are set."""
ROOT = Path(__file__).parents[1]


class Conditions:
    """The conditions from now on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._wall = time.monotonic()
        self._counted: set[int] = set()
        self._own = _own_seconds(self._counted)
        self._all = _busy_seconds()
        self._said = False

    def count(self, process: int) -> None:
        """Count a process that still runs, and those below it, as the benchmark's own.

        Processes that this one started are counted without it.

        Args:
            process: its id; one that works for the benchmark alone, since it is counted from its start.
        """
        self._counted.add(process)

    def so_far(self) -> dict[str, Any]:
        """Conditions as a JSON file of figures holds them.

        Keys: date (UTC), command, commit (None outside a checkout), machine, cpu (model, and units for products in
        bfloat16), gpu (None unless torch is loaded and sees one), cores (that this process may use), versions,
        load_before and load_after (average of a minute), others (share of all cores, None if unknown), busy.
        """
        others = self._others()
        model, units = processor()
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "command": command(),
            "commit": checkout_commit(),
            "machine": machine(),
            "cpu": {"model": model, "units": list(units)},
            "gpu": _gpu(),
            "cores": cores(),
            "versions": versions(),
            "load_before": round(self._load, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "others": None if others is None else round(others, 3),
            "busy": self._load > cores() * BUSY if others is None else others > BUSY,
        }

    def write(self, path: Path | None, report: dict[str, Any]) -> None:
        """Write figures with their conditions as JSON, and say so if the machine was busy.

        Args:
            path: the file, which is replaced as a whole; None: nothing is written.
            report: the figures.
        """
        conditions = self.so_far()
        if conditions["busy"] and not self._said:
            self._said = True  # once: figures are written after each part
            print("measured beside other work: repeat it on an idle machine", file=sys.stderr, flush=True)
        if path is not None:
            write_text(path, json.dumps({"conditions": conditions, **report}, indent=2) + "\n")

    def _others(self) -> float | None:
        now = _busy_seconds()
        if now is None or self._all is None:
            return None
        own = _own_seconds(self._counted) - self._own
        seconds = max(1e-9, time.monotonic() - self._wall)
        return max(0.0, now - self._all - own) / (seconds * (os.cpu_count() or 1))


def command() -> str:
    """The command line of this process as it would be typed in the checkout, without folders of this machine.

    Variables of `THREADS` that are set come first. An absolute path below the checkout becomes relative to it, and of
    any other absolute path the last part stays.
    """
    variables = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    return shlex.join([*variables, "python", *(_without_folders(argument) for argument in sys.orig_argv[1:])])


def _gpu() -> str | None:
    torch = sys.modules.get("torch")  # a benchmark that has not loaded it does not compute on a GPU
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None


def _without_folders(argument: str) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    path = Path(value)
    if path.is_absolute():
        value = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    return option + equals + value


def _own_seconds(counted: set[int]) -> float:
    """Processor time of this process, of those that it started, whether they ended or run, and of those counted."""
    times = os.times()
    ended = times.user + times.system + times.children_user + times.children_system
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        process = int(path.parent.name)
        parents[process] = int(fields[1])
        ticks[process] = sum(map(int, fields[11:15]))  # proc(5): utime, stime, cutime, cstime
    own = {os.getpid(), *counted}
    while below := {process for process, parent in parents.items() if parent in own} - own:
        own |= below
    return ended + sum(ticks.get(process, 0) for process in own - {os.getpid()}) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float | None:
    """Processor time that all processes of the machine have taken since it was started."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
