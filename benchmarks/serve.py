"""The server under load, compared with scoring one conversation at a time, in one run on the same conversations.

The conversations have the lengths of the eight rating sets (length_mix.py); each request has one response, as verl and
OpenRLHF send them, responses to the same prompt one after another. "one at a time" is a loop over the same
conversations in a separate process without a server, by the sequential engine: a pass for the prompt and one for the
conversation. The ways take turns, `--rounds` times, and figures are medians.

    armorm export --recipe recipes/demo.toml --out exported/demo
    python -m benchmarks.serve exported/demo --json benchmarks/serve.json
"""

import argparse
import asyncio
import json
import multiprocessing
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import torch

from benchmarks.figures import Figures
from benchmarks.length_mix import mixed_conversations

Turns = list[dict[str, str]]

ALONE = "one at a time, no server"

START_SECONDS = 600
"""Time limit for loading the model."""


@dataclass(frozen=True)
class Measured:
    """Medians of one way over its rounds."""

    way: str
    requests_per_second: float
    ratio: float
    """Requests per second, relative to one at a time."""
    ratio_low: float
    ratio_high: float
    p50_ms: float
    p99_ms: float
    errors: int
    """Requests without an answer, over all rounds."""
    difference: float
    """Largest difference from the score of one at a time, relative to the scores' spread."""


@dataclass(frozen=True)
class Round:
    """One round of one way."""

    seconds: float
    latencies: list[float]
    scores: list[float | None]
    """None where there was no answer."""


def conversations(times: float, most_tokens: int) -> list[Turns]:
    """Conversations of the mix that fit the model, with the responses to a prompt one after another."""
    made: list[Turns] = []
    for prompt, responses in mixed_conversations(times):
        before = [{"role": message.role, "content": message.content} for message in prompt]
        for response in responses:
            words = sum(len(turn["content"].split()) for turn in before) + len(response.split())
            if words < 0.9 * most_tokens:
                made.append([*before, {"role": "assistant", "content": response}])
    return made


def one_at_a_time(
    folder: Path, device: str, asked: "multiprocessing.Queue[Any]", replies: "multiprocessing.Queue[Any]"
) -> None:
    """Score conversations in this process, a pass for each prompt and each conversation, until `asked` gives None."""
    from export.reward_model import RewardModel

    model = RewardModel.load(folder, device=device, engine="sequential")
    replies.put(model.max_tokens)
    while (given := asked.get()) is not None:
        latencies, scores = [], []
        for turns in given:
            started = time.perf_counter()
            scores.append(model.score([turns])[0].score)
            latencies.append(time.perf_counter() - started)
        replies.put(Round(sum(latencies), latencies, scores))


Ask = Callable[[httpx2.AsyncClient, Turns], Awaitable[float | None]]
"""Sends a conversation; its score, or None where it has none."""


async def classify(connection: httpx2.AsyncClient, turns: Turns) -> float | None:
    """Ask in vLLM's protocol."""
    answer = await connection.post("/classify", json={"messages": turns})
    return float(answer.json()["data"][-1]["probs"][-1]) if answer.status_code == 200 else None


async def load(url: str, given: list[Turns], clients: int, ask: Ask = classify) -> Round:
    """Send the conversations through a number of clients, each with its connection, until all are answered."""
    latencies: list[float] = []
    scores: list[float | None] = [None] * len(given)
    left = iter(enumerate(given))

    async def client(connection: httpx2.AsyncClient) -> None:
        for place, turns in left:
            started = time.perf_counter()
            try:
                scores[place] = await ask(connection, turns)
            except httpx2.HTTPError:
                continue
            latencies.append(time.perf_counter() - started)

    # Before the clock runs, and without certificates, which nothing here needs: each client would read them anew.
    made = [httpx2.AsyncClient(base_url=url, timeout=300, trust_env=False, verify=False) for _ in range(clients)]
    started = time.perf_counter()
    await asyncio.gather(*map(client, made))
    seconds = time.perf_counter() - started
    await asyncio.gather(*(connection.aclose() for connection in made))
    return Round(seconds, latencies, scores)


@dataclass(frozen=True)
class Serving:
    """A server that listens."""

    url: str
    process: int


@contextmanager
def server(folder: Path, device: str, pack_tokens: int | None) -> Iterator[Serving]:
    """Run `armorm serve` in a separate process."""
    with tempfile.NamedTemporaryFile() as log:
        command = [sys.executable, "-m", "pipelines.cli", "serve", str(folder), "--port", "0", "--device", device]
        if pack_tokens is not None:
            command += ["--pack-tokens", str(pack_tokens)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_SECONDS
            while not (found := re.search(r"http://\S+:\d+", Path(log.name).read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"the server did not start: {Path(log.name).read_text()}")
                time.sleep(0.1)
            yield Serving(found[0], process.pid)
        finally:
            process.terminate()
            process.wait()


def measured(way: str, rounds: list[Round], base: list[Round]) -> Measured:
    """Medians of a way, compared with those of the base."""
    expected = np.asarray(base[0].scores, dtype=np.float64)
    rates = [len(each.scores) / each.seconds for each in rounds]
    ratios = [rate / (len(own.scores) / own.seconds) for rate, own in zip(rates, base, strict=True)]
    latencies = np.concatenate([each.latencies for each in rounds])
    got = np.asarray([each.scores for each in rounds], dtype=np.float64)  # (rounds, conversations)
    return Measured(
        way,
        statistics.median(rates),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        *(1000 * np.percentile(latencies, [50, 99])).tolist(),
        errors=int(np.isnan(got).sum()),
        difference=float(np.nanmax(np.abs(got - expected)) / np.std(expected)),
    )


def served(clients: int) -> str:
    """Name of the way with this number of clients."""
    return f"server, {clients} client{'s' * (clients > 1)}"


def table(results: list[Measured]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| way | requests/s | ratio | low to high | p50 | p99 | errors | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        spread = f"{each.ratio_low:.2f} to {each.ratio_high:.2f}" if each.ratio != 1 else ""
        lines.append(
            f"| {each.way} | {each.requests_per_second:.1f} | {each.ratio:.2f} | {spread} | {each.p50_ms:.0f} ms"
            f" | {each.p99_ms:.0f} ms | {each.errors} | {each.difference:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that `armorm export` wrote")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--times", type=float, default=0.3, help="size of the mix; 1 is 775 conversations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--pack-tokens", type=int, default=None, help="option of the server; by default the server's own"
    )
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    arguments = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    asked, replies = context.Queue(), context.Queue()
    alone = context.Process(
        target=one_at_a_time, args=(arguments.folder, arguments.device, asked, replies), daemon=True
    )
    alone.start()
    given = conversations(arguments.times, replies.get(timeout=START_SECONDS))
    figures = Figures("server", arguments.figures)
    figures.add(conversations=len(given), rounds=arguments.rounds, pack_tokens=arguments.pack_tokens)
    base: list[Round] = []
    ways: dict[int, list[Round]] = {clients: [] for clients in arguments.clients}
    with server(arguments.folder, arguments.device, arguments.pack_tokens) as serving:
        for clients in (4, max(ways)):  # warm-up with small and large passes, which counts for no way
            asyncio.run(load(serving.url, given[: 2 * clients], clients))
        for _ in range(arguments.rounds):
            asked.put(given)
            base.append(replies.get(timeout=START_SECONDS))
            figures.add(**asdict(measured(ALONE, base[-1:], base[-1:])))
            for clients, rounds in ways.items():
                rounds.append(asyncio.run(load(serving.url, given, clients)))
                figures.add(**asdict(measured(served(clients), rounds[-1:], base[-1:])))
    asked.put(None)
    alone.join()
    results = [measured(ALONE, base, base)]
    results += [measured(served(clients), rounds, base) for clients, rounds in ways.items()]
    print(f"{len(given)} conversations, {arguments.rounds} rounds\n\n{table(results)}")
    if arguments.json is not None:
        about = {
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "conversations": len(given),
            "rounds": arguments.rounds,
        }
        arguments.json.write_text(json.dumps({**about, "results": [asdict(each) for each in results]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
