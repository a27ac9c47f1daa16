"""A program that uses Ray, run by a process of its own as a shell would start it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT


@contextmanager
def driver(
    program: str, *arguments: str | Path, environment: Mapping[str, str] = os.environ
) -> Iterator[subprocess.Popen[str]]:
    """A program with its workers, in a process group of its own; it is killed at the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
