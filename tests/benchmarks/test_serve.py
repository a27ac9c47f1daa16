"""`benchmarks.serve` asks servers of the same backbone for the same number, and compares their rates round by round."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.serve import table
from benchmarks.serve.alone import Alone
from benchmarks.serve.figures import ALONE, THIS, VLLM, measured
from benchmarks.serve.load import Round, load, of_classifier, of_objective
from benchmarks.serve.servers import Command, listening, server, transformers_command, vllm_command
from tests.benchmarks.random_folders import CONVERSATIONS, Folders


@pytest.mark.slow
def test_servers_give_the_number_that_is_computed_one_at_a_time(folders: Folders) -> None:
    alone = Alone(folders.model, "cpu", None)
    base = alone.round(CONVERSATIONS)
    assert alone.objective == folders.objective
    alone.end()
    ask = of_objective(folders.objective)
    with server(folders.model, "cpu", None) as ours, listening(transformers_command(folders.classifier, 3)) as other:
        with other.held_still():
            by_ours = asyncio.run(load(ours.url, CONVERSATIONS, 2, ask))
        with ours.held_still():
            by_other = asyncio.run(load(other.url, CONVERSATIONS, 4, of_classifier("a round")))
    for way, done in ((THIS, by_ours), ("transformers", by_other)):
        found = measured(way, 2, [done], base.numbers)
        assert found["errors"] == 0
        assert found["difference"] < 1e-4


def test_a_server_that_ends_at_once_is_said_to_have_not_started() -> None:
    with pytest.raises(SystemExit, match=r"did not start.*boom"), listening(Command(["sh", "-c", "echo boom; exit 1"])):
        pass


def test_ratios_are_round_by_round_and_to_as_many_clients() -> None:
    def way(name: str, clients: int | None, seconds: list[float]) -> dict[str, object]:
        rounds = [Round(each, [each / 2] * 2, [1.0, 3.0]) for each in seconds]
        return measured(name, clients, rounds, [1.0, 3.0])

    ways = [way(ALONE, None, [2.0, 2.0]), way(THIS, 8, [1.0, 2.0]), way(VLLM, 8, [0.5, 2.0]), way(VLLM, 1, [2.0, 2.0])]
    shown = table({"results": ways})
    assert f"| {THIS} | 8 | 1.5 | 1.50 |  |  |" in shown
    assert f"| {VLLM} | 8 | 2.5 | 2.50 | 1.50 | 1.00 to 2.00 |" in shown
    assert f"| {VLLM} | 1 | 1.0 | 1.00 |  |  |" in shown


def test_a_request_without_an_answer_is_an_error_and_no_difference() -> None:
    found = measured(THIS, 1, [Round(1.0, [0.5], [2.0, None])], [1.0, 3.0])
    assert (found["errors"], found["difference"]) == (1, 1.0)


def test_vllm_is_given_all_cores_and_no_smaller_steps_than_this_server() -> None:
    command = vllm_command(Path("classifier"), 4096, Path("python"), [Path("/usr/lib/libtcmalloc_minimal.so.4")])
    assert command.settings["--max-num-batched-tokens"] == "8192"
    assert command.settings["LD_PRELOAD"] == ["libtcmalloc_minimal.so.4"]
    assert len(command.environment["VLLM_CPU_OMP_THREADS_BIND"].split(",")) == int(
        command.environment["OMP_NUM_THREADS"]
    )
