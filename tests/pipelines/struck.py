"""A program: the command line, struck by a signal, or by a full disk, at a chosen moment.

A moment is the n-th time that a function of ours is called, so that what is done by then is known.

Usage: python -m tests.pipelines.struck BLOW:MODULE:FUNCTION:N[,BLOW:MODULE:FUNCTION:N …] ARMORM-ARGUMENT…
where BLOW is the name of a signal, or FULL: from then on no file may grow beyond 256 bytes.
"""

import functools
import importlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

LAUNCH = "extract.engines.packed:PackedEngine._launch"
"""Called once a pack, in order."""


def arm(blow: str, module: str, function: str, n: str) -> None:
    """Let a blow fall when a function is called for the n-th time."""
    *path, name = function.split(".")
    owner: Any = functools.reduce(getattr, path, importlib.import_module(module))
    unharmed = getattr(owner, name)
    calls = 0

    def struck(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(n):
            sys.stderr.write(f"struck by {blow}:{module}:{function}:{n}\n")
            sys.stderr.flush()
            strike(blow)
        return unharmed(*arguments, **more)

    setattr(owner, name, struck)


def strike(blow: str) -> None:
    """Signal this process, or let its disk be full."""
    if blow == "FULL":
        resource.setrlimit(resource.RLIMIT_FSIZE, (256, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    else:
        os.kill(os.getpid(), getattr(signal, blow))


def extract_struck(
    recipe: Path, moments: Sequence[str], *arguments: str, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `armorm extract` and strike it; all blows must have fallen."""
    command = [sys.executable, "-m", "tests.pipelines.struck", ",".join(moments), "extract", "--recipe", str(recipe)]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    for moment in moments:
        assert f"struck by {moment}\n" in done.stderr, f"{moment} never came: {done.stderr}"
    return done


if __name__ == "__main__":
    from pipelines import cli

    # A shell that starts a program in the background lets it ignore Ctrl-C; the tests may run so, and are not about it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for moment in sys.argv[1].split(","):
        arm(*moment.split(":"))
    sys.argv[1:2] = []
    cli.main()
