"""The connection to Ray, on this machine or on a cluster, with Ray's own output silenced."""

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
from cache.errors import first_line

log = logging.getLogger(__name__)

HERE = "local"
"""Ray's word for a new cluster on this machine."""

FROM_OUTSIDE = "ray://"
"""Prefix of an address that is reached through Ray's client, from a machine outside the cluster."""

SPARE_CPUS = 2
"""Logical CPUs of a Ray started here in addition to its workers': Ray Data waits for ever when all are in use."""

SECONDS_TO_ANSWER = 10
"""Time limit for a connection to the cluster's head."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ part calls Ray Data's way to make actors an error
    "RAY_COLOR_PREFIX": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread of Ray Data that outlives the run would start another cluster
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what later releases do; else each worker warns about it
}
"""Environment variables that Ray reads; a variable that is set already stays."""


def import_ray(without: str) -> Any:
    """The package `ray`, with Ray Data.

    Args:
        without: how to do without it, for the message.

    Raises:
        UserError: it is not installed, or incomplete.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(f"Ray cannot be imported ({error}): run `pip install -e '.[ray]'`, or {without}") from None
    return ray


def address_of(recipe_address: str | None) -> str:
    """Address of Ray: the recipe's `extract.ray_address`, else the variable RAY_ADDRESS, else `HERE`."""
    return recipe_address or os.environ.get("RAY_ADDRESS") or HERE


def refuse_unreachable(address: str) -> None:
    """Find out within seconds that nobody listens; Ray would try for minutes.

    Raises:
        UserError: nobody listens at the address.
    """
    host, _, port = address.removeprefix(FROM_OUTSIDE).rpartition(":")
    if not host or not port.isdecimal():
        return  # a word of Ray's, such as 'auto'
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


@contextmanager
def joined(address: str, cpus: int, object_bytes: int, without: str) -> Iterator[Any]:
    """The package `ray`, connected while the block runs; a Ray that was started here ends with the block.

    Args:
        address: `HERE`, or the address of a cluster.
        cpus: number of CPUs for the workers; only for a Ray started here.
        object_bytes: size of the objects sent to workers; only for a Ray started here.
        without: how to do without Ray, for the message.

    Raises:
        UserError: Ray cannot be imported, or there is no cluster at this address.
    """
    ray = import_ray(without)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == HERE:
        # Ray would reserve a third of the memory for objects; twice their size is enough.
        room = {"num_cpus": cpus + SPARE_CPUS, "object_store_memory": 2 * object_bytes + (256 << 20)}
        quiet |= {"include_dashboard": False, **room}
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with _silent_stderr():
            ray.init(address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address, first_line(error)) from None
    try:
        signal.signal(signal.SIGTERM, on_termination)  # Ray's own handler ends the process at once
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
    """Discard the line that Ray's C++ part writes to stderr when it starts; no setting turns it off."""
    with Path(os.devnull).open("wb") as nowhere:
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


class _Messages(io.TextIOBase):
    """Redirects to the log what Ray prints, such as that a worker died: standard output belongs to the result."""

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            if "`ray.kill`" not in line:  # about workers that Ray Data ends itself when a run fails
                log.warning("Ray: %s", line.strip())
        return len(text)
