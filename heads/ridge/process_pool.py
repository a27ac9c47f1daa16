"""Processes of this machine that work for `heads.ridge.workers`."""

import ctypes
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from cache import UserError
from cache.child_process import bind_to_parent
from heads.ridge import segment_worker
from heads.ridge.segment_worker import Job, ToldToStopError

ENDED = (
    "a worker of fit-heads was ended, most likely for lack of memory: run it again, which goes on with the sums that"
    " are saved, with fewer --workers"
)


class ProcessPool:
    """The processes, and what is shared with them.

    Args:
        count: number of processes.
        threads: of each, where OMP_NUM_THREADS does not say it.
        job: facts for each.
        segments: number of segments.
    """

    def __init__(self, count: int, threads: int, job: Job, segments: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._done: Any = context.Array(ctypes.c_int64, segments, lock=False)  # (segments,) keys whose rows are added
        self._stop: Any = context.Value(ctypes.c_bool, False, lock=False)
        self._threads = threads
        self._executor = ProcessPoolExecutor(count, context, _begin, (job, self._done, self._stop))

    @contextmanager
    def running(self) -> Iterator["ProcessPool"]:
        """Processes start and end within this block.

        Raises:
            UserError: one was ended from outside.
        """
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ.setdefault("OMP_NUM_THREADS", str(self._threads))  # read by each process when it loads BLAS
        try:
            yield self
        except (BrokenProcessPool, MemoryError):
            raise UserError(ENDED) from None
        finally:
            self._stop.value = True
            self._executor.shutdown(cancel_futures=True)
            if before is None:
                os.environ.pop("OMP_NUM_THREADS", None)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Let the next free process do some work."""
        return self._executor.submit(work, *arguments)

    def done(self) -> Sequence[int]:
        """Number of keys whose rows are added, for each segment."""
        return list(self._done)


def _begin(job: Job, done: Any, stop: Any) -> None:
    """Prepare a process of the pool."""

    def report(number: int, keys: int) -> None:
        done[number] = keys
        if stop.value:
            raise ToldToStopError

    segment_worker.begin(job, report)
    bind_to_parent()
