"""Clients of a server: conversations in, numbers and waiting times out."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2

from benchmarks.length_mix import mixed_conversations

Turns = list[dict[str, str]]

Ask = Callable[[httpx2.AsyncClient, Turns], Awaitable[float | None]]
"""Sends a conversation; its number, or None where it has none."""


@dataclass(frozen=True)
class Round:
    """One round of one way."""

    seconds: float
    latencies: list[float]
    numbers: list[float | None]
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


async def classify(connection: httpx2.AsyncClient, turns: Turns) -> float | None:
    """Ask in vLLM's protocol."""
    answer = await connection.post("/classify", json={"messages": turns})
    return _probability(answer)


def of_classifier(salt: str) -> Ask:
    """Asks for a classifier's raw number in vLLM's protocol; prompts are shared among requests of the same salt."""

    async def ask(connection: httpx2.AsyncClient, turns: Turns) -> float | None:
        body = {"messages": turns, "use_activation": False, "cache_salt": salt}
        return _probability(await connection.post("/classify", json=body))

    return ask


def of_objective(name: str) -> Ask:
    """Asks this project's server for the raw reward of one objective."""

    async def ask(connection: httpx2.AsyncClient, turns: Turns) -> float | None:
        body = {"conversations": [{"messages": turns}], "objectives": [name], "scale": "raw"}
        answer = await connection.post("/v1/rewards", json=body)
        if answer.status_code != 200:
            return None
        return float(answer.json()["conversations"][0]["responses"][0]["rewards"][name])

    return ask


def _probability(answer: httpx2.Response) -> float | None:
    return float(answer.json()["data"][-1]["probs"][-1]) if answer.status_code == 200 else None


async def load(url: str, given: list[Turns], clients: int, ask: Ask = classify) -> Round:
    """Send the conversations through a number of clients, each with its connection, until all are answered."""
    latencies: list[float] = []
    numbers: list[float | None] = [None] * len(given)
    left = iter(enumerate(given))

    async def client(connection: httpx2.AsyncClient) -> None:
        for place, turns in left:
            started = time.perf_counter()
            try:
                numbers[place] = await ask(connection, turns)
            except httpx2.HTTPError:
                continue
            latencies.append(time.perf_counter() - started)

    # Before the clock runs, and without certificates, which nothing here needs: each client would read them anew.
    made = [httpx2.AsyncClient(base_url=url, timeout=300, trust_env=False, verify=False) for _ in range(clients)]
    started = time.perf_counter()
    await asyncio.gather(*map(client, made))
    seconds = time.perf_counter() - started
    await asyncio.gather(*(connection.aclose() for connection in made))
    return Round(seconds, latencies, numbers)
