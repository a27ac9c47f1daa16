"""The conditions of a measurement: machine, versions, commit, date, and how busy the machine was with other work.

A figure that was measured beside other work is marked by itself: `others` is the share of the processor's time that
processes outside the benchmark took while it ran, from /proc/stat; None where the system does not tell.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.cores import cores
from pipelines.installation import machine, versions

BUSY = 0.1
"""Share of the cores from which on other work spoils a measurement."""


class Conditions:
    """The conditions from now on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._wall = time.monotonic()
        self._counted: list[int] = []
        self._own = _own_seconds()
        self._all = _busy_seconds()

    def count(self, process: int) -> None:
        """Count a process that still runs, and those of its children that have ended, as the benchmark's own.

        Args:
            process: its id; one that this process started, or that it asked for at once, since its start is counted.
        """
        self._counted.append(process)

    def so_far(self) -> dict[str, Any]:
        """Conditions as a JSON file of figures holds them."""
        others = self._others()
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "cores": cores(),
            "versions": versions(),
            "load_before": round(self._load, 2),
            "others": None if others is None else round(others, 3),
            "busy": self._load > cores() * BUSY if others is None else others > BUSY,
        }

    def write(self, path: Path | None, report: dict[str, Any]) -> None:
        """Write figures with their conditions as JSON, and say so if the machine was busy.

        Args:
            path: the file; None: nothing is written.
            report: the figures.
        """
        conditions = self.so_far()
        if conditions["busy"]:
            print("measured beside other work: repeat it on an idle machine", file=sys.stderr, flush=True)
        if path is not None:
            path.write_text(json.dumps({"conditions": conditions, **report}, indent=2) + "\n", encoding="utf-8")

    def _others(self) -> float | None:
        now = _busy_seconds()
        if now is None or self._all is None:
            return None
        own = _own_seconds() - self._own + sum(map(_seconds_of, self._counted))
        seconds = max(1e-9, time.monotonic() - self._wall)
        return max(0.0, now - self._all - own) / (seconds * (os.cpu_count() or 1))


def _own_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _seconds_of(process: int) -> float:
    """Processor time of another process and of its children that have ended; 0 where the system does not tell."""
    try:
        after_name = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return 0.0
    return sum(map(int, after_name.split()[11:15])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime, cutime, cstime


def _busy_seconds() -> float | None:
    """Processor time that all processes of the machine have taken since it was started."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, first.split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
