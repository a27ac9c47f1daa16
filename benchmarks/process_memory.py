"""Memory of this process, as Linux counts it."""

from pathlib import Path


def peak_bytes() -> int:
    """Largest resident memory of this process so far, in bytes; `ru_maxrss` would include that of its parent."""
    return _bytes("VmHWM")


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    return _bytes("VmRSS")


def _bytes(field: str) -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) * 1024
