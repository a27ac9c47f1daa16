"""Small requests beside large ones: how long they wait, and how much memory the server takes.

32 clients send small requests, one after another: alone, and beside one client with a large request that it sends again
and again. The ways take turns, `--rounds` times, in one run on one server; percentiles are over all rounds.

- "half a megabyte": a prompt of 524,000 characters with 128 responses, whose client leaves after 0.3 s;
- "60,000 turns": a conversation of that many turns, whose client waits for the answer;
- "512 responses": a prompt of 200 words with 512 responses, all of which are scored.

    python -m benchmarks.serve_beside_large --json benchmarks/serve_beside_large.json      # random weights
    python -m benchmarks.serve_beside_large exported/demo
"""

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np

from benchmarks import random_model
from benchmarks.conditions import Conditions
from benchmarks.process_memory import peak_bytes, resident_bytes
from benchmarks.serve.servers import Serving, server

ALONE = "alone"
STAY_SECONDS = 0.3
"""Time after which the first large request's client leaves."""

Large = Callable[[Serving], Awaitable[None]]


@dataclass
class Way:
    """Latencies and errors of small requests in one of the ways, over its rounds."""

    name: str
    large: Large | None
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    large_requests: int = 0
    errors: int = 0
    resident: int = 0
    """Resident memory of the server at the end of a round, at most, in bytes."""


@dataclass(frozen=True)
class Measured:
    """Figures of one way."""

    way: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    large_requests: int
    resident_mib: float


def request_of(path: str, body: object) -> bytes:
    """An HTTP request as bytes, made once."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content


def sending(sent: bytes, stay: float | None) -> Large:
    """A client that sends a request, and leaves after `stay` seconds; None: after the answer."""

    async def send(serving: Serving) -> None:
        address = urlsplit(serving.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sent)
        try:
            await asyncio.wait_for(reader.read(), stay)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()

    return send


def larges() -> dict[str, Large]:
    """The large requests."""
    turns = [{"role": ("user", "assistant")[place % 2], "content": "x"} for place in range(60_000)]
    shared = {"prompt": "word " * 200, "responses": [f"{number} " + "word " * 20 for number in range(512)]}
    return {
        "half a megabyte": sending(
            request_of("/score", {"text_1": "a" * 524_000, "text_2": ["x"] * 128}), STAY_SECONDS
        ),
        "60,000 turns": sending(request_of("/classify", {"messages": turns}), None),
        "512 responses": sending(request_of("/v1/rewards", {"conversations": [shared], "decomposition": False}), None),
    }


async def measure(way: Way, serving: Serving, clients: int, seconds: float) -> None:
    """One round of a way."""
    end = time.perf_counter() + seconds
    numbers = itertools.count()

    async def small(connection: httpx2.AsyncClient) -> None:
        while (started := time.perf_counter()) < end:
            body = {"text_1": f"What is {next(numbers)} + 2?", "text_2": "Some number, to be sure."}
            try:
                answer = await connection.post("/score", json=body)
                way.errors += answer.status_code != 200
            except httpx2.HTTPError:
                way.errors += 1
                continue
            way.latencies.append(time.perf_counter() - started)

    async def large(send: Large) -> None:
        while time.perf_counter() < end:
            await send(serving)
            way.large_requests += 1

    made = [
        httpx2.AsyncClient(base_url=serving.url, timeout=300, trust_env=False, verify=False) for _ in range(clients)
    ]
    work = [small(connection) for connection in made]
    await asyncio.gather(*work, *([large(way.large)] if way.large is not None else []))
    await asyncio.gather(*(connection.aclose() for connection in made))
    way.seconds += seconds
    way.resident = max(way.resident, resident_bytes(serving.process))


def measured(way: Way) -> Measured:
    """Figures of a way."""
    p50, p99 = np.percentile(way.latencies, [50, 99])
    return Measured(
        way.name,
        len(way.latencies) / way.seconds,
        1000 * p50,
        1000 * p99,
        way.errors,
        way.large_requests,
        way.resident / 2**20,
    )


def table(report: dict[str, Any]) -> str:
    """The results as a Markdown table; "p99 to alone" is p99 beside the large requests over that without them."""
    results = report["results"]
    alone = next(each["p99_ms"] for each in results if each["way"] == ALONE)
    lines = [
        "| small requests | requests/s | p50 | p99 | p99 to alone | errors | large requests | server's memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        name = each["way"] if each["way"] == ALONE else f"beside {each['way']}"
        lines.append(
            f"| {name} | {each['requests_per_second']:.0f} | {each['p50_ms']:.0f} ms | {each['p99_ms']:.0f} ms"
            f" | {each['p99_ms'] / alone:.1f} | {each['errors']} | {each['large_requests']}"
            f" | {each['resident_mib']:.0f} MiB |"
        )
    return "\n".join([*lines, "", f"Largest memory of the server: {report['peak_mib']:.0f} MiB.", ""])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder that `armorm export` wrote; else random weights")
    parser.add_argument("--quick", action="store_true", help="one short round, all ways")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=None, help="of a way in a round; 10, quick 4")
    parser.add_argument("--rounds", type=int, default=None, help="3, quick 1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    seconds = arguments.seconds or (4.0 if arguments.quick else 10.0)
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    conditions = Conditions()
    ways = [Way(ALONE, None), *(Way(name, large) for name, large in larges().items())]
    report: dict[str, Any] = {"clients": arguments.clients, "seconds": seconds, "rounds": rounds}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "random" / "model"
        if arguments.folder is None:
            random_model.write(folder.parent, "tiny")
        with server(folder, arguments.device, None) as serving:
            asyncio.run(measure(Way("warm-up", None), serving, arguments.clients, min(2.0, seconds)))
            for _ in range(rounds):
                for way in ways:
                    asyncio.run(measure(way, serving, arguments.clients, seconds))
                report["results"] = [asdict(measured(way)) for way in ways]
                report["peak_mib"] = peak_bytes(serving.process) / 2**20
                conditions.write(arguments.json, report)
    print(f"{arguments.clients} clients, {rounds} rounds of {seconds:g} s\n\n{table(report)}")


if __name__ == "__main__":
    main()
