"""Which of several workers this process is: the value of `--worker`, or the variables of torchrun or SLURM."""

import os
import re

from cache import UserError
from cache.worker import Worker


def read_worker(text: str, workers: int = 1) -> Worker:
    """The worker that `--worker` names: '3/8', or 'auto' for the number that torchrun or a SLURM array gives.

    Args:
        text: the value of `--worker`.
        workers: the value of `--workers`.

    Raises:
        UserError: the text is neither, there is no such worker, the environment gives no number, or `--workers` asks
            for several processes too.
    """
    if workers > 1 and text != "1/1":
        raise UserError(
            f"--workers {workers} and --worker {text} are two ways to share the work: give one of them, --workers where"
            " Ray starts the processes, --worker where you or a scheduler does"
        )
    if text == "auto":
        return _from_environment()
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"--worker {text} is no worker: write 1/8 to 8/8 for one of eight, or auto")
    return Worker(int(match[1]), int(match[2]))


def _from_environment() -> Worker:
    """RANK and WORLD_SIZE are torchrun's, the others sbatch's (`sbatch --array`; 'Job arrays' in its manual)."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _worker(_number("RANK") + 1, _number("WORLD_SIZE"), "RANK and WORLD_SIZE")
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        first, last = _number("SLURM_ARRAY_TASK_MIN"), _number("SLURM_ARRAY_TASK_MAX")
        step, of = max(1, _number("SLURM_ARRAY_TASK_STEP", "1")), _number("SLURM_ARRAY_TASK_COUNT")
        if (last - first) // step + 1 != of:
            raise UserError(
                f"--worker auto: the {of} numbers of this array, {first} to {last}, are no range: give sbatch --array"
                " one without gaps, or write the worker out"
            )
        return _worker((_number("SLURM_ARRAY_TASK_ID") - first) // step + 1, of, "SLURM_ARRAY_TASK_ID and _COUNT")
    raise UserError(
        "--worker auto finds neither RANK and WORLD_SIZE (torchrun) nor SLURM_ARRAY_TASK_ID (sbatch --array):"
        " write the worker out, such as 1/8"
    )


def _worker(number: int, of: int, variables: str) -> Worker:
    if not 1 <= number <= of:
        raise UserError(
            f"--worker auto: the environment's {variables} say {number}/{of}, which is no worker: write it out"
        )
    return Worker(number, of)


def _number(variable: str, default: str = "") -> int:
    value = os.environ.get(variable, default)
    if not value.isdecimal():
        raise UserError(f"--worker auto: the environment's {variable} is {value!r}, not a number; write the worker out")
    return int(value)
