"""Number of processor cores that this process may use."""

import os


def cores() -> int:
    """Cores of this process's affinity, which taskset and containers narrow; else all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
