"""Memory of a process, by itself of this one, as Linux counts it."""

from pathlib import Path


def peak_bytes(process: int | None = None) -> int:
    """Largest resident memory of a process so far, in bytes; `ru_maxrss` would include that of its parent."""
    return _bytes("VmHWM", process)


def resident_bytes(process: int | None = None) -> int:
    """Resident memory of a process, in bytes."""
    return _bytes("VmRSS", process)


def _bytes(field: str, process: int | None) -> int:
    lines = Path(f"/proc/{process or 'self'}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status[field].split()[0]) * 1024
