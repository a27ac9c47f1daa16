"""Memory of a pass on a CPU, which the next pass uses again."""

import torch

from cache.allocator import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, set_parameter

LARGEST_BLOCK = 32 * 2**20
"""Bytes of the largest block that glibc can be told to keep (`HEAP_MAX_SIZE / 2` of its malloc.c, on 64 bits). The
tensors of a pass of 2,048 tokens through a decoder of a few hundred million weights are smaller; larger ones are mapped
and unmapped one by one as before."""

MOST_FREE = 256 * 2**20
"""Bytes that may lie free at the end of the heap before glibc gives them back: the tensors of such a pass together."""


def keep_freed_memory(device: torch.device) -> None:
    """For passes on a CPU, tell glibc to keep what they free, in the whole process; with another C library, do nothing.

    By default it gives large blocks back at once. The system then hands out every page of every layer's tensors anew,
    filled with zeros, which was a sixth of the CPU time of uncompiled layers of SmolLM2-135M's shape
    (docs/benchmarks.md).
    """
    if device.type == "cpu":
        set_parameter(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        set_parameter(M_TRIM_THRESHOLD, MOST_FREE)
