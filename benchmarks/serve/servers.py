"""The servers, each in processes of its own, and the settings that each is given."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from benchmarks.serve.alone import START_SECONDS
from cache.cores import cores

ROOT = Path(__file__).parents[2]

VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
"""The interpreter beside vLLM's CPU build; `make test-vllm` installs it."""

URL = re.compile(r"http://\S+:\d+")
"""The address that `armorm serve` prints."""

STEP_TOKENS = 8192
"""Tokens of one pass, for this project's server and for vLLM: the former's default."""


@dataclass(frozen=True)
class Serving:
    """A server that listens."""

    url: str
    process: int

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Stop all processes of the server, so that waiting costs the others nothing, and let them go on afterwards.

        vLLM's processes look for messages in a busy loop for a while after each one.
        """
        os.killpg(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process, signal.SIGCONT)


@dataclass(frozen=True)
class Command:
    """How a server is started."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    """The settings as a report names them."""


@contextmanager
def server(folder: Path, device: str, pack_tokens: int | None) -> Iterator[Serving]:
    """Run `armorm serve` in a separate process, at a port that it chooses itself."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", str(folder), "--port", "0", "--device", device]
    if pack_tokens is not None:
        command += ["--pack-tokens", str(pack_tokens)]
    with _running(Command(command)) as (process, log):
        _wait(process, log, lambda: URL.search(log.read_text()) is not None)
        (url,) = URL.findall(log.read_text())[:1]
        yield Serving(url, process.pid)


def transformers_command(classifier: Path, batch: int) -> Command:
    """The server of transformers and FastAPI (`transformers_server.py`).

    Its batches are padded on one side with no limit of tokens. PyTorch takes a thread a core by itself.
    """
    module = "benchmarks.serve.transformers_server"
    arguments = [sys.executable, "-m", module, str(classifier), "--batch", str(batch)]
    return Command(arguments, settings={"batch": batch, "dtype": "as stored", "threads": cores()})


def vllm_command(
    classifier: Path, max_tokens: int, python: Path, preload: list[Path], *, eager: bool = False
) -> Command:
    """VLLM's OpenAI-compatible server with the classifier as a pooling model.

    - `VLLM_CPU_OMP_THREADS_BIND`: all cores, as the others have. Its own choice ("auto") leaves a core to the rest of
      the server, and computes in one thread on a machine of two.
    - `VLLM_CPU_KVCACHE_SPACE`: 4 GiB, more than all conversations of a round take, so that no request waits for memory
      and no prompt is dropped from the prefix cache.
    - The prefix cache and chunked prefill are on: both are its defaults for a decoder whose last token is pooled. A
      round has a cache salt of its own, or later rounds would find whole conversations of earlier ones, which no real
      load repeats.
    - Steps of as many tokens as this project's passes. `torch.compile` stays on, which is its default
      (`--enforce-eager`, which a quick run has to save a minute, turns it off). Requests are not logged.
    - `preload`: the OpenMP runtime and the allocator that its documentation asks for.
    """
    arguments = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(classifier)]
    options = {
        "--runner": "pooling",
        "--convert": "classify",
        "--dtype": "float32",
        "--max-model-len": str(max_tokens),
        "--max-num-batched-tokens": str(max(STEP_TOKENS, max_tokens)),
        "--max-num-seqs": "256",
        "--uvicorn-log-level": "warning",
    }
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "4",
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
        "OMP_NUM_THREADS": str(cores()),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "LD_PRELOAD": ":".join(map(str, preload)),
    }
    settings = options | environment | {"LD_PRELOAD": [path.name for path in preload]}
    flat = [part for option in options.items() for part in option]
    switches = ["--enable-prefix-caching", *(["--enforce-eager"] if eager else [])]
    return Command([*arguments, *flat, *switches], environment, {**settings, "switches": switches})


def vllm_libraries(python: Path) -> list[Path]:
    """The libraries that vLLM's documentation asks to preload, as far as they are on this machine."""
    system = [Path("/usr/lib") / f"{os.uname().machine}-linux-gnu", Path("/usr/lib64"), Path("/usr/local/lib")]
    names = (("libtcmalloc_minimal.so.4", system), ("libiomp5.so", [python.parents[1] / "lib"]))
    return [path for name, places in names for path in [place / name for place in places] if path.exists()]


@contextmanager
def listening(command: Command) -> Iterator[Serving]:
    """Run a server at a free port until it says that it is healthy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = ["--port", str(port)]
    with _running(Command([*command.arguments, *address], command.environment)) as (process, log):
        url = f"http://127.0.0.1:{port}"
        _wait(process, log, lambda: _healthy(url))
        yield Serving(url, process.pid)


def _healthy(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


@contextmanager
def _running(command: Command) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    with tempfile.NamedTemporaryFile() as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **command.environment}
        # A session of its own, so that all of its processes can be held still.
        process = subprocess.Popen(
            command.arguments, stdout=log, stderr=log, env=environment, cwd=ROOT, start_new_session=True
        )
        try:
            yield process, Path(log.name)
        finally:
            process.terminate()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", log: Path, ready: Callable[[], bool]) -> None:
    """Wait until a server is ready, and refuse one that ends before, or that takes too long."""
    end = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the server did not start: {log.read_text()}")
        time.sleep(0.2)
