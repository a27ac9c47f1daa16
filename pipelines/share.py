"""`--shard`: which share of the work falls to this process."""

import os
import re

from cache import UserError
from cache.share import Share


def read_share(text: str, workers: int = 1) -> Share:
    """The share that `--shard` names: '3/8', or 'auto' for what torchrun or a SLURM array says.

    Args:
        text: what was given.
        workers: what `--workers` says.

    Raises:
        UserError: it is neither, there is no such share, nobody says which, or a share is to have several workers.
    """
    if workers > 1 and text != "1/1":
        raise UserError(
            f"--workers {workers} and --shard {text} are two ways to share the work: give one of them, --workers where"
            " Ray starts the processes, --shard where you or a scheduler does"
        )
    if text == "auto":
        return _from_environment()
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"--shard {text} is no share: write 1/8 to 8/8 for one of eight, or auto")
    return Share(int(match[1]), int(match[2]))


def _from_environment() -> Share:
    """RANK and WORLD_SIZE are torchrun's, the others sbatch's (`sbatch --array`; 'Job arrays' in its manual)."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _share(_number("RANK") + 1, _number("WORLD_SIZE"), "RANK and WORLD_SIZE")
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        first, last = _number("SLURM_ARRAY_TASK_MIN"), _number("SLURM_ARRAY_TASK_MAX")
        step, of = max(1, _number("SLURM_ARRAY_TASK_STEP", "1")), _number("SLURM_ARRAY_TASK_COUNT")
        if (last - first) // step + 1 != of:
            raise UserError(
                f"--shard auto: the {of} numbers of this array, {first} to {last}, are no range: give sbatch --array"
                " one without gaps, or write the share out"
            )
        return _share((_number("SLURM_ARRAY_TASK_ID") - first) // step + 1, of, "SLURM_ARRAY_TASK_ID and _COUNT")
    raise UserError(
        "--shard auto finds neither RANK and WORLD_SIZE (torchrun) nor SLURM_ARRAY_TASK_ID (sbatch --array):"
        " write the share out, such as 1/8"
    )


def _share(number: int, of: int, variables: str) -> Share:
    if not 1 <= number <= of:
        raise UserError(
            f"--shard auto: the environment's {variables} say {number}/{of}, which is no share: write it out"
        )
    return Share(number, of)


def _number(variable: str, default: str = "") -> int:
    value = os.environ.get(variable, default)
    if not value.isdecimal():
        raise UserError(f"--shard auto: the environment's {variable} is {value!r}, not a number; write the share out")
    return int(value)
