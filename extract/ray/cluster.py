"""Ray, started on this machine or joined somewhere else, and kept quiet."""

import io
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from cache import UserError
from extract.ray.pipeline import FROM_OUTSIDE

log = logging.getLogger(__name__)

HERE = "local"
"""Ray's word for a cluster of its own on this machine, whatever else runs there."""

SPARE_CPUS = 2
"""Logical CPUs of a Ray started here beyond what its workers take: Ray Data waits for ever when all are taken."""

SECONDS_TO_ANSWER = 10
"""Of a cluster's head, to be connected to."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ part calls Ray Data's way to make actors an error
    "RAY_COLOR_PREFIX": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread of Ray Data that lags behind the end would start another cluster
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what later releases do; else each worker warns about it
}
"""What Ray reads from the environment; a value that is set already stays."""


def import_ray() -> Any:
    """The package `ray`, with Ray Data.

    Raises:
        UserError: it is not installed, or not whole.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(
            f"--workers needs Ray, which cannot be imported ({error}): pip install -e '.[ray]', or share the work"
            " among processes with --shard"
        ) from None
    return ray


def address_of(recipe_address: str | None) -> str:
    """Where Ray is: the recipe's `extract.ray_address`, else what Ray's own RAY_ADDRESS says, else here."""
    return recipe_address or os.environ.get("RAY_ADDRESS") or HERE


def refuse_unreachable(address: str) -> None:
    """Find out in seconds that nobody listens; Ray would try for minutes.

    Raises:
        UserError: nobody does.
    """
    host, _, port = address.removeprefix(FROM_OUTSIDE).rpartition(":")
    if not host or not port.isdecimal():
        return  # a word of Ray's, such as 'auto'
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


@contextmanager
def joined(address: str, cpus: int, object_bytes: int) -> Iterator[Any]:
    """The package `ray`, connected while the block runs; a Ray started here ends with the block.

    Args:
        address: `HERE`, or of a cluster.
        cpus: that workers will take; only for a Ray started here.
        object_bytes: that will be sent to workers; only for a Ray started here.

    Raises:
        UserError: Ray cannot be imported, or there is no cluster at this address.
    """
    ray = import_ray()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == HERE:
        # Ray would reserve a third of the memory for objects, where what is sent and as much again is plenty.
        room = {"num_cpus": cpus + SPARE_CPUS, "object_store_memory": 2 * object_bytes + (256 << 20)}
        quiet |= {"include_dashboard": False, **room}
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with _silent_stderr():
            ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n", maxsplit=1)[0][:200]
        raise _unreachable(address, reason) from None
    try:
        signal.signal(signal.SIGTERM, on_termination)  # Ray puts its own there, which ends the process on the spot
        with redirect_stdout(_Messages()):
            yield ray
    finally:
        ray.shutdown(wait_for_processes=address == HERE)


def _unreachable(address: str, reason: str) -> UserError:
    return UserError(
        f"Ray cannot be reached at {address} ({reason}): check extract.ray_address, or RAY_ADDRESS, or leave both out"
        " to use this machine"
    )


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep out what Ray's C++ part writes at its start, a line on the level of its log; it knows no other way."""
    with Path(os.devnull).open("wb") as nowhere:
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


class _Messages(io.TextIOBase):
    """What Ray prints of its own accord, such as that a worker died, for the log: standard output is the result's."""

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            if "`ray.kill`" not in line:  # of workers that Ray Data ends itself, when a run fails
                log.warning("Ray: %s", line.strip())
        return len(text)
