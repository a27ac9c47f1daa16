"""Ray, started on this machine or joined somewhere else, and kept quiet."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cache import UserError

log = logging.getLogger(__name__)

HERE = "local"
"""Ray's word for a cluster of its own on this machine, whatever else runs there."""

SPARE_CPUS = 2
"""Logical CPUs of a Ray started here beyond what its workers take: Ray Data waits for ever when all are taken."""

EARLY_DEATHS = 3
"""Workers that may die one after another while they start: a machine that is taken away then ends no run."""

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ part calls Ray Data's way to make actors an error
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
        raise UserError(
            f"Ray cannot be reached at {address} ({reason}): check extract.ray_address, or RAY_ADDRESS, or leave both"
            " out to use this machine"
        ) from None
    try:
        signal.signal(signal.SIGTERM, on_termination)  # Ray puts its own there, which ends the process on the spot
        _set_up(ray)
        yield ray
    finally:
        ray.shutdown(wait_for_processes=address == HERE)


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


def _set_up(ray: Any) -> None:
    """Leave telling how far the work is to the driver, and do not give up on the first worker that dies young."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is raised as well
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = EARLY_DEATHS
