"""The cost of standard errors in `armorm score` and the server: a model with and without its own, side by side.

The model without it is written beside the one given, with links to the same backbone. Both are loaded at once, in this
process for `RewardModel.score` and in a server each, and take turns, `--rounds` times, the first of a round by turns. A
ratio is that of the rates with and without in one round; the figures are medians over the rounds.

    python -m benchmarks.uncertainty_serving --shapes tiny smollm2-135m      # random weights
    python -m benchmarks.uncertainty_serving exported/demo
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import random_model
from benchmarks.conditions import Conditions
from benchmarks.serve.load import Turns, classify, conversations, load
from benchmarks.serve.servers import Serving, server
from export.folder import Exported, write_folder
from export.reward_config import backbone_settings, read_config
from export.reward_model import RewardModel
from export.reward_tensors import read_reward_parts
from export.reward_uncertainty import uncertainty_bytes
from extract.backbone import read_backbone

BATCH = 32
"""Conversations of one call of `RewardModel.score`."""


@dataclass(frozen=True)
class Measured:
    """One way, round by round."""

    way: str
    without: list[float]
    """Responses a second without uncertainty."""
    with_it: list[float]
    """Responses a second with it."""
    processor_without: list[float]
    """Processor seconds of the model's process, which other work on the machine disturbs little."""
    processor_with: list[float]
    errors: int
    """Requests without an answer, over all rounds."""


def write_without(folder: Path, out: Path) -> int:
    """Write the model of `folder` to `out` without its uncertainty; the bytes that it takes less."""
    config, gate = read_config(folder)
    settings = backbone_settings(folder, config, {})
    backbone = read_backbone(folder, config.backbone or str(folder), settings)
    parts = read_reward_parts(folder, config, gate, backbone.hidden_size)
    if parts.uncertainty is None:
        raise SystemExit(f"the model in {folder} holds no uncertainty: there is nothing to compare")
    plain = replace(parts, uncertainty=None)
    less = config.model_copy(update={"uncertainty": None})
    write_folder(out, Exported(backbone, less, plain, {}, "Without uncertainty.\n"), "link")
    return uncertainty_bytes(parts.uncertainty)


@dataclass(frozen=True)
class Round:
    """One round of one side."""

    seconds: float
    processor_seconds: float
    """Time of the processor that the process with the model took."""
    errors: int
    """Requests without an answer."""


Side = Callable[[], Round]


async def rewards(connection: httpx2.AsyncClient, turns: Turns) -> float | None:
    """Ask in the server's own protocol, with all terms."""
    answer = await connection.post("/v1/rewards", json={"conversations": [{"messages": turns}]})
    return float(answer.json()["conversations"][0]["responses"][0]["score"]) if answer.status_code == 200 else None


def processor_seconds(process: int) -> float:
    """User and system time that a process has taken so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_process(model: RewardModel, given: list[Turns]) -> Side:
    """Rounds of `RewardModel.score`."""

    def run() -> Round:
        started, before = time.perf_counter(), processor_seconds(os.getpid())
        for place in range(0, len(given), BATCH):
            model.score(given[place : place + BATCH])
        return Round(time.perf_counter() - started, processor_seconds(os.getpid()) - before, errors=0)

    return run


def asked(serving: Serving, given: list[Turns], clients: int, *, terms: bool) -> Side:
    """Rounds of requests."""

    def run() -> Round:
        before = processor_seconds(serving.process)
        answered = asyncio.run(load(serving.url, given, clients, rewards if terms else classify))
        spent = processor_seconds(serving.process) - before
        return Round(answered.seconds, spent, answered.numbers.count(None))

    return run


def compared(way: str, sides: Iterable[Side], rounds: int, responses: int) -> Measured:
    """Run both sides, without and with uncertainty, by turns, and compare them round by round."""
    without, with_it = sides
    runs: dict[str, list[Round]] = {"without": [], "with": []}
    both = [("without", without), ("with", with_it)]
    for _, run in both:  # warm-up, which counts for no way
        run()
    for number in range(rounds):
        for name, run in both if number % 2 == 0 else reversed(both):
            runs[name].append(run())
    return Measured(
        way,
        [responses / each.seconds for each in runs["without"]],
        [responses / each.seconds for each in runs["with"]],
        [each.processor_seconds for each in runs["without"]],
        [each.processor_seconds for each in runs["with"]],
        sum(each.errors for done in runs.values() for each in done),
    )


def table(report: dict[str, Any]) -> str:
    """The results as a Markdown table.

    "ratio" is the rate with uncertainty over that without it in the same round, "processor time" the same of the
    processor's seconds; both are medians over rounds.
    """
    lines = [
        "| shape | way | responses/s without | with | ratio | low to high | processor time | errors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part in report["parts"]:
        for each in part["results"]:
            ratios = [own / other for own, other in zip(each["with_it"], each["without"], strict=True)]
            processor = [
                own / other for own, other in zip(each["processor_with"], each["processor_without"], strict=True)
            ]
            lines.append(
                f"| {part['shape']} | {each['way']} | {statistics.median(each['without']):.1f}"
                f" | {statistics.median(each['with_it']):.1f} | {statistics.median(ratios):.3f}"
                f" | {min(ratios):.3f} to {max(ratios):.3f} | {statistics.median(processor):.3f} | {each['errors']} |"
            )
    return "\n".join([*lines, ""])


def measure(folder: Path, scratch: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figures of one model, more and more of them."""
    plain = scratch / "without"
    size = write_without(folder, plain)
    folders = (plain, folder)
    models = [RewardModel.load(each, device=given.device) for each in folders]
    sent = conversations(given.times, models[0].max_tokens)[: given.most]
    part: dict[str, Any] = {"conversations": len(sent), "clients": given.clients, "uncertainty_bytes": size}
    scoring = (in_process(model, sent) for model in models)
    part["results"] = [asdict(compared("`RewardModel.score`", scoring, given.rounds, len(sent)))]
    yield part
    del models
    with server(plain, given.device, None) as one, server(folder, given.device, None) as other:
        for path, terms in (("/classify", False), ("/v1/rewards", True)):
            ways = (asked(each, sent, given.clients, terms=terms) for each in (one, other))
            name = f"server, `{path}`, {given.clients} clients"
            part["results"].append(asdict(compared(name, ways, given.rounds, len(sent))))
            yield part


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="exported folder with uncertainty; else random weights")
    parser.add_argument("--shapes", choices=["tiny", "smollm2-135m"], nargs="+", default=["tiny"])
    parser.add_argument("--quick", action="store_true", help="a few conversations, one round, all ways")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--times", type=float, default=0.1, help="size of the mix; 1 is 775 conversations")
    parser.add_argument("--most", type=int, default=None, help="conversations of the mix, at most; quick: 12")
    parser.add_argument("--rounds", type=int, default=None, help="7, quick 1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 7)
    arguments.most = arguments.most or (12 if arguments.quick else None)
    conditions = Conditions()
    report: dict[str, Any] = {"rounds": arguments.rounds, "parts": []}
    for shape in [str(arguments.folder)] if arguments.folder else arguments.shapes:
        with tempfile.TemporaryDirectory() as name:
            scratch = Path(name)
            folder = arguments.folder or scratch / "random" / "model"
            if arguments.folder is None:
                random_model.write(folder.parent, shape)
            done = report["parts"]
            for part in measure(folder, scratch, arguments):
                report["parts"] = [*done, {"shape": shape, **part}]
                conditions.write(arguments.json, report)
    print(f"{arguments.rounds} rounds\n\n{table(report)}")


if __name__ == "__main__":
    main()
