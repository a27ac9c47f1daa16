"""This project's server under load, beside other servers of the same backbone, in one run on the same conversations.

    python -m benchmarks.serve --json benchmarks/serve.json         # random weights in the bundled backbone's shape
    python -m benchmarks.serve --shape smollm2-135m --times 0.06
    python -m benchmarks.serve exported/demo

The ways take turns, `--rounds` times; figures are medians over rounds.

- "one at a time, no server": a loop in a process of its own, by the sequential engine, a pass for the prompt and one
  for the conversation;
- "armorm serve": with its default settings;
- "vLLM `/classify`": vLLM's server for CPUs, whose settings and their reasons are at `servers.vllm_command`;
- "transformers + FastAPI": batches of what waits, of at most one and of at most eight (`transformers_server.py`).

The other servers have a sequence-classification folder of one objective (`benchmarks.plain_classifier`): the same
backbone and that objective's head. Every number is that objective's raw reward, so all answers are compared with the
same ones, computed one at a time; the largest difference is in units of their spread. The work is not the same: a
classifier reads its one number at the last token; this project's server also reads the end of the prompt, all
objectives, the gate and standard errors, by one pass. All get the conversation as `messages` and render the template
themselves; that vLLM makes the same token ids of them is checked before the first round.

The conversations have the lengths of the eight rating sets (length_mix.py). Each request has one response, as verl and
OpenRLHF send them, responses to the same prompt one after another. float32 throughout, as the folder says; all servers
have as many threads as the machine has cores, and share these with the clients. A server that
does not have its turn is held still (SIGSTOP): vLLM's processes would look for messages in a busy loop.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import plain_classifier, random_model
from benchmarks.conditions import Conditions
from benchmarks.figures import Figures
from benchmarks.serve.alone import Alone
from benchmarks.serve.figures import ALONE, THIS, VLLM, measured, table
from benchmarks.serve.load import Ask, Round, Turns, conversations, load, of_classifier, of_objective
from benchmarks.serve.servers import (
    STEP_TOKENS,
    VLLM_PYTHON,
    Command,
    Serving,
    listening,
    server,
    transformers_command,
    vllm_command,
    vllm_libraries,
)
from cache.cores import cores

BATCHES = (1, 8)
"""Largest batches of the server of transformers."""

NAMES = ("armorm", "vllm", "transformers")

Server = tuple[Serving, Callable[[str], Ask]]
"""A server and the way to ask it in a round of some name."""


def same_token_ids(url: str, given: list[Turns], expected: list[list[int]]) -> None:
    """Refuse a server of vLLM's that makes other token ids of a conversation."""
    for number, (turns, ids) in enumerate(zip(given, expected, strict=True)):
        body = {"messages": turns, "add_generation_prompt": False, "add_special_tokens": False}
        answer = httpx2.post(f"{url}/tokenize", json=body, trust_env=False, timeout=60)
        if answer.json()["tokens"] != ids:
            raise SystemExit(f"vLLM makes other token ids of conversation {number}: the numbers cannot be compared")


def started(stack: ExitStack, names: list[str], given: argparse.Namespace, alone: Alone) -> dict[str, Server]:
    """Start the servers, all at once."""
    made: dict[str, tuple[AbstractContextManager[Serving], Callable[[str], Ask]]] = {}
    if "armorm" in names:
        made[THIS] = (server(given.folder, given.device, given.pack_tokens), lambda _: of_objective(alone.objective))
    classifier = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "classifier"
    if {"vllm", "transformers"} & {*names}:
        plain_classifier.write(given.folder, classifier, alone.objective)
    if "vllm" in names:
        made[VLLM] = (listening(vllm_of(given, alone, classifier)), of_classifier)
    if "transformers" in names:
        for batch in BATCHES:
            name = f"transformers + FastAPI, batches of {batch}"
            made[name] = (listening(transformers_command(classifier, batch)), of_classifier)
    with ThreadPoolExecutor() as pool:
        entered = pool.map(stack.enter_context, [manager for manager, _ in made.values()])
        return {name: (serving, ask) for serving, (name, (_, ask)) in zip(entered, made.items(), strict=True)}


@contextmanager
def others_held_still(servers: dict[str, Server], turn: str | None) -> Iterator[None]:
    """Hold all servers still but the one whose turn it is."""
    with ExitStack() as stack:
        for name, (serving, _) in servers.items():
            if name != turn:
                stack.enter_context(serving.held_still())
        yield


def vllm_of(given: argparse.Namespace, alone: Alone, classifier: Path) -> Command:
    """The command of vLLM's server."""
    libraries = vllm_libraries(given.vllm)
    return vllm_command(classifier, alone.max_tokens, given.vllm, libraries, eager=given.vllm_eager)


def settings(names: list[str], given: argparse.Namespace, alone: Alone) -> dict[str, Any]:
    """The settings of each server."""
    return {
        THIS: {"pack_tokens": given.pack_tokens or STEP_TOKENS, "threads": alone.threads, "dtype": alone.dtype},
        **({VLLM: vllm_of(given, alone, Path()).settings} if "vllm" in names else {}),
        **({"transformers + FastAPI": {"batches": BATCHES, "threads": cores()}} if "transformers" in names else {}),
    }


def measure(given: argparse.Namespace, names: list[str], conditions: Conditions) -> dict[str, Any]:
    """All ways in turns."""
    alone = Alone(given.folder, given.device, given.objective)
    sent = conversations(given.times, alone.max_tokens)[: given.most]
    figures = Figures("server", given.figures)
    report: dict[str, Any] = {
        "conversations": len(sent),
        "rounds": given.rounds,
        "objective": alone.objective,
        "settings": settings(names, given, alone),
        "left_out": [name for name in given.servers if name not in names],
        "results": [],
    }
    figures.add(**report)
    base: list[Round] = []
    rounds: dict[tuple[str, int], list[Round]] = {}
    with ExitStack() as stack:
        stack.callback(alone.end)
        servers = started(stack, names, given, alone)
        if VLLM in servers:
            same_token_ids(servers[VLLM][0].url, sent, alone.encoded(sent))
        for name, (serving, ask) in servers.items():  # warm-up with small and large passes, which counts for no way
            for clients in (4, max(given.clients)):
                asyncio.run(load(serving.url, sent[: 2 * clients], clients, ask(f"warm-up {name}")))
        for number in range(given.rounds):
            with others_held_still(servers, None):
                base.append(alone.round(sent))
            figures.add(**measured(ALONE, None, base[-1:], base[0].numbers))
            for clients in given.clients:
                for name, (serving, ask) in servers.items():
                    with others_held_still(servers, name):
                        done = asyncio.run(load(serving.url, sent, clients, ask(f"round {number}, {clients} clients")))
                    rounds.setdefault((name, clients), []).append(done)
                    figures.add(**measured(name, clients, [done], base[0].numbers))
            report["results"] = [measured(ALONE, None, base, base[0].numbers)]
            report["results"] += [measured(*way, done, base[0].numbers) for way, done in rounds.items()]
            conditions.write(given.json, report)
    return report


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder that `armorm export` wrote; else random weights")
    parser.add_argument(
        "--shape", choices=["tiny", "smollm2-135m", "llama-3-8b"], default="tiny", help="without FOLDER"
    )
    parser.add_argument("--quick", action="store_true", help="few conversations, one round, all ways")
    parser.add_argument("--servers", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--vllm", type=Path, default=VLLM_PYTHON, help="interpreter of the environment with vLLM")
    parser.add_argument("--vllm-eager", action="store_true", help="vLLM does not compile; with --quick it never does")
    parser.add_argument("--objective", default=None, help="objective whose reward is compared; by default the first")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--times", type=float, default=0.3, help="size of the mix; 1 is 775 conversations")
    parser.add_argument("--most", type=int, default=None, help="conversations of the mix, at most; quick: 16")
    parser.add_argument("--rounds", type=int, default=None, help="3, quick 1")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pack-tokens", type=int, default=None, help="of armorm serve; by default its own")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no server is left, held still
    given.most = given.most or (16 if given.quick else None)
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.vllm_eager = given.vllm_eager or given.quick
    names = list(given.servers)
    if "vllm" in names and not given.vllm.exists():
        print(f"vLLM is left out, for there is no {given.vllm}: `make test-vllm` installs it", flush=True)
        names.remove("vllm")
    conditions = Conditions()
    with tempfile.TemporaryDirectory() as scratch:
        if given.folder is None:
            random_model.write(Path(scratch) / "random", given.shape)
            given.folder = Path(scratch) / "random" / "model"
        report = measure(given, names, conditions)
    print(f"{report['conversations']} conversations, {given.rounds} rounds\n\n{table(report)}")


if __name__ == "__main__":
    main()
