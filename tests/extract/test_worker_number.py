"""The value of `--worker`: a number, or the number that torchrun or SLURM gives; anything else is one sentence."""

import pytest

from cache import UserError
from cache.worker import Worker
from extract.engines.choice import choose_device
from extract.worker_number import read_worker

VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    *(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX", "STEP")),
)


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may be run by one."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def array(task: int, first: int, last: int, count: int, step: int | None = None) -> dict[str, str]:
    """Variables that sbatch sets for one task of an array."""
    values = {"ID": task, "MIN": first, "MAX": last, "COUNT": count} | ({} if step is None else {"STEP": step})
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("environment", "worker"),
    [
        ({"RANK": "0", "WORLD_SIZE": "1"}, Worker(1, 1)),
        ({"RANK": "7", "WORLD_SIZE": "8", "LOCAL_RANK": "3"}, Worker(8, 8)),
        (array(0, 0, 7, 8, 1), Worker(1, 8)),
        (array(7, 0, 7, 8), Worker(8, 8)),
        (array(3, 1, 4, 4, 1), Worker(3, 4)),
        (array(9, 1, 13, 4, 4), Worker(3, 4)),
        (array(5, 5, 5, 1, 1), Worker(1, 1)),
        ({"RANK": "1", "WORLD_SIZE": "2"} | array(0, 0, 7, 8, 1), Worker(2, 2)),  # torchrun inside of an array's task
    ],
)
def test_auto_is_what_the_scheduler_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], worker: Worker
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert read_worker("auto") == worker


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, r"finds neither RANK and WORLD_SIZE \(torchrun\) nor SLURM_ARRAY_TASK_ID"),
        ({"RANK": "1"}, "finds neither RANK and WORLD_SIZE"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "the environment's RANK is 'one', not a number"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "the environment's RANK is '-1', not a number"),
        ({"RANK": "", "WORLD_SIZE": "2"}, "the environment's RANK is '', not a number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK and WORLD_SIZE say 3/2, which is no worker"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "RANK and WORLD_SIZE say 1/0, which is no worker"),
        (array(0, 0, 7, 8) | {"SLURM_ARRAY_TASK_COUNT": ""}, "SLURM_ARRAY_TASK_COUNT is '', not a number"),
        (array(0, 0, 7, 8) | {"SLURM_ARRAY_TASK_STEP": "x"}, "SLURM_ARRAY_TASK_STEP is 'x', not a number"),
        (array(1, 1, 9, 3, 1), r"the 3 numbers of this array, 1 to 9, are no range"),
        (array(9, 0, 7, 8, 1), "SLURM_ARRAY_TASK_ID and _COUNT say 10/8, which is no worker"),
        (array(0, 1, 8, 8, 0), "SLURM_ARRAY_TASK_ID and _COUNT say 0/8, which is no worker"),
    ],
)
def test_an_environment_that_names_no_worker_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=sentence) as caught:
        read_worker("auto")
    assert str(caught.value).startswith("--worker auto")
    assert "\n" not in str(caught.value)


def test_a_worker_is_read_as_it_is_written() -> None:
    assert [read_worker(text) for text in ("1/1", "1/8", "8/8", "12/100")] == [
        Worker(1, 1),
        Worker(1, 8),
        Worker(8, 8),
        Worker(12, 100),
    ]


@pytest.mark.parametrize(
    "text", ["", "0/2", "3/2", "1/0", "1", "1/2/3", "-1/2", "1 / 2", "1/2\n", "٣/٤", "all", "1e3/2"]
)
def test_what_is_no_worker_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match=r"is no worker: write 1/8 to 8/8 for one of eight, or auto"):
        read_worker(text)


def test_a_local_rank_without_its_device_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "97")
    with pytest.raises(UserError, match=r"extract\.device: cuda:97 cannot be used here"):
        choose_device("auto")
    monkeypatch.setenv("LOCAL_RANK", "first")
    with pytest.raises(UserError, match=r"extract\.device: cuda:first cannot be used here"):
        choose_device("auto")
