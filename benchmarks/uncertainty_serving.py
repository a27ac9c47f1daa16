"""The cost of standard errors in `armorm score` and the server: a model with and without its own, side by side.

The model without it is written beside the one given, with links to the same backbone. Both are loaded at once, in this
process for `RewardModel.score` and in a server each, and take turns, `--rounds` times, the first of a round by turns. A
ratio is that of the rates with and without in one round; the figures are medians over the rounds.

    python -m benchmarks.random_model /tmp/random --shape smollm2-135m
    python -m benchmarks.uncertainty_serving /tmp/random/model
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx2
import torch

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
    """Medians of one way over its rounds, in responses a second."""

    way: str
    without: float
    with_it: float
    ratio: float
    """With uncertainty, relative to without it in the same round."""
    ratio_low: float
    ratio_high: float
    processor_ratio: float
    """Processor time of the model's process with uncertainty, relative to that without, which other work on the machine
    disturbs little."""
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
        return Round(answered.seconds, spent, answered.scores.count(None))

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
    pairs = list(zip(runs["without"], runs["with"], strict=True))
    ratios = [one.seconds / other.seconds for one, other in pairs]
    found = Measured(
        way,
        statistics.median(responses / each.seconds for each in runs["without"]),
        statistics.median(responses / each.seconds for each in runs["with"]),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(other.processor_seconds / one.processor_seconds for one, other in pairs),
        sum(each.errors for done in runs.values() for each in done),
    )
    print(found, flush=True)  # the others may take long
    return found


def table(results: list[Measured]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| way | responses/s without | with | ratio | low to high | processor time | errors |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.way} | {each.without:.1f} | {each.with_it:.1f} | {each.ratio:.3f}"
        f" | {each.ratio_low:.3f} to {each.ratio_high:.3f} | {each.processor_ratio:.3f} | {each.errors} |"
        for each in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that `armorm export` wrote, with uncertainty")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--times", type=float, default=0.1, help="size of the mix; 1 is 775 conversations")
    parser.add_argument("--most", type=int, default=None, help="conversations of the mix, at most")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "without"
        size = write_without(arguments.folder, plain)
        folders = (plain, arguments.folder)
        models = [RewardModel.load(folder, device=arguments.device) for folder in folders]
        given = conversations(arguments.times, models[0].max_tokens)[: arguments.most]
        count = len(given)
        scoring = (in_process(model, given) for model in models)
        results = [compared("`RewardModel.score`", scoring, arguments.rounds, count)]
        del models
        with server(plain, arguments.device, None) as one, server(arguments.folder, arguments.device, None) as other:
            for path, terms in (("/classify", False), ("/v1/rewards", True)):
                ways = (asked(each, given, arguments.clients, terms=terms) for each in (one, other))
                name = f"server, `{path}`, {arguments.clients} clients"
                results.append(compared(name, ways, arguments.rounds, count))
    print(f"{count} conversations, {arguments.rounds} rounds, uncertainty {size / 1e6:.1f} MB\n\n{table(results)}")
    if arguments.json is not None:
        about = {
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "conversations": count,
            "rounds": arguments.rounds,
            "uncertainty_bytes": size,
        }
        arguments.json.write_text(json.dumps({**about, "results": [asdict(each) for each in results]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
