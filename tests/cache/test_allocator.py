"""Freed memory that glibc keeps when the threads that took it are gone."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

THREADS = 8
FREED_BY_EACH = 20_000_000
PROGRAM = f"""
import ctypes, json, sys, threading
from cache.allocator import give_back_freed_memory, share_freed_memory

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def used(size):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

if sys.argv[1] == "share":
    share_freed_memory()
used(30_000_000)  # blocks below this size are no longer mapped one by one
together = threading.Barrier({THREADS})
def work():
    together.wait()
    used({FREED_BY_EACH})
    together.wait()
before = resident()
threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
give_back_freed_memory()
print(json.dumps(resident() - before))
"""


def grown(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def test_threads_that_share_memory_leave_less_behind() -> None:
    if (apart := grown("apart")) < THREADS * FREED_BY_EACH / 2:
        pytest.skip("this C library keeps nothing for each thread")
    assert grown("share") <= apart / 2
