"""Work in a process of its own that may die or be killed.

The processes are forked by a server that has imported the libraries and used none of them, since an import takes
seconds, and a library that has started threads cannot be forked.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

LIBRARIES = ("benchmarks.store.ways", "torch", "safetensors.torch", "zarr", "lance", "datasets")
PATIENCE_S = 300.0
"""Seconds after which a process that says nothing counts as one that hangs."""


WARNINGS = "ignore:lance is not fork-safe:UserWarning,ignore::UserWarning:multiprocessing.resource_tracker"
"""The server has imported Lance and not used it; a killed process leaves a semaphore of its progress bars."""


class Died(Exception):  # noqa: N818  # the event of a measurement, no fault of the benchmark
    """A process ended without a result: by a signal, or by a fault of this benchmark that it has printed."""


def context() -> ForkServerContext:
    """The context whose server has the libraries."""
    os.environ.setdefault("PYTHONWARNINGS", WARNINGS)  # before the server and its tracker are started
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(list(LIBRARIES))
    return made


def result(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a module's function, computed in a process of its own.

    Raises:
        Died: it ended without one, or hangs.
    """
    process, connection = started(_send, work, *arguments)
    try:
        if not connection.poll(PATIENCE_S):
            raise Died("hangs")
        return connection.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        raise Died(f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}") from None
    finally:
        process.kill()
        process.join()


def server() -> int:
    """The process id of the server; processes that it has forked and that have ended count as its children."""
    return int(result(os.getppid))


def started(work: Callable[..., None], *arguments: Any) -> tuple[ForkServerProcess, Connection]:
    """A process that runs `work(connection, *arguments)`, and the other end of its connection."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = context().Process(target=work, args=(there, *arguments))
    process.start()
    there.close()
    return process, here


def _send(connection: Connection, work: Callable[..., Any], *arguments: Any) -> None:
    connection.send(work(*arguments))
