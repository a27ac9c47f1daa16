"""Freed memory that glibc keeps in the whole process: how much, and in how many places; else nothing is done."""

import ctypes

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Numbers of these parameters, from glibc's malloc.h (mallopt(3))."""


def set_parameter(number: int, value: int) -> None:
    """Set one of the parameters above."""
    _call("mallopt", number, value)


def share_freed_memory() -> None:
    """Let all threads that start from now on take their memory from one place.

    By default up to eight threads a core have an arena each, whose end is not given back when its thread is gone.
    Passes whose threads read features ahead, one pass after the other, leave tens of megabytes in every arena.
    """
    set_parameter(M_ARENA_MAX, 1)


def give_back_freed_memory() -> None:
    """Return to the system what is free now.

    Small pieces are kept when they are freed, and a larger block that replaces them does not fit into them: the process
    would occupy the memory of both.
    """
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):  # another C library
        return
    function(*values)
