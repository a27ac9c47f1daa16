"""The process that renders chat templates (`render_process.py`), as this one sees it: started once, ended with it."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cache import UserError
from cache.errors import first_line
from extract.template import render_process

SECONDS = 2.0
"""Seconds of computing (not of waiting) that a template may take for one conversation. Most take 0.00005."""

MEMORY_BYTES = 2**30
"""Memory of the process; a program with jinja2 and nothing to do has 0.03 of it."""

BATCH_CHARACTERS = 2**20
"""Characters of the conversations in one request."""


class Renderer:
    """Renders conversations, several in one exchange with the process, for any number of threads in turn."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(
        self, template: str, variables: dict[str, Any], conversations: Sequence[list[dict[str, Any]]]
    ) -> list[tuple[bool, str]]:
        """Render conversations.

        Args:
            template: the chat template.
            variables: its variables besides the messages, made of JSON's types.
            conversations: messages, made of JSON's types.

        Returns:
            For each conversation True and the text, or False and the reason why there is none.
        """
        shared = {"template": template, "variables": variables, "seconds": SECONDS, "memory_bytes": MEMORY_BYTES}
        answers: list[tuple[bool, str]] = []
        batch: list[list[dict[str, Any]]] = []
        characters = 0
        with self._turn:
            for conversation in conversations:
                batch.append(conversation)
                characters += sum(len(str(message.get("content", ""))) for message in conversation)
                if characters >= BATCH_CHARACTERS:
                    answers += self._answers(shared, batch)
                    batch, characters = [], 0
            return answers + self._answers(shared, batch)

    def close(self) -> None:
        """End the process; the next call starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _answers(self, shared: dict[str, Any], conversations: list[list[dict[str, Any]]]) -> list[tuple[bool, str]]:
        if not conversations:
            return []
        answers = self._exchange(shared | {"conversations": conversations})
        if isinstance(answers, list):
            return answers
        if len(conversations) == 1:
            return [(False, answers)]
        # The process was ended in the middle: each conversation by itself shows which one did it.
        return [answer for one in conversations for answer in self._answers(shared, [one])]

    def _exchange(self, request: dict[str, Any]) -> list[tuple[bool, str]] | str:
        """The answers to a request, or the reason why the process ended."""
        if self._process is not None and self._process.poll() is not None:
            self.close()  # somebody else ended it meanwhile
        process = self._process = self._process or _started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:  # the reason is how it ended
            pass
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            return [(bool(done), str(text)) for done, text in json.loads(line)]
        self._process = None
        process.communicate()
        return _reason(process.returncode)


def _started() -> "subprocess.Popen[bytes]":
    paths = [path for path in sys.path if path]
    process = subprocess.Popen(
        [sys.executable, "-S", "-P", "-W", "ignore", render_process.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(sys.prefix),
        env={"PYTHONPATH": os.pathsep.join(paths)},  # no token, key or password of the environment
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    )
    assert process.stdout is not None
    if process.stdout.readline() != render_process.READY:
        _, told = process.communicate()
        lines = told.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise UserError(
            f"the process that renders chat templates does not start ({first_line(Exception(lines[-1]))}): install"
            " this project anew"
        )
    return process


def _reason(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"it computes for more than {SECONDS:g} seconds"
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process that renders it was ended by {how}"


_renderer = Renderer()
_of_parents: list[Renderer] = []


def _renew() -> None:
    """Leave the parent's process to the parent, with its pipes, after a fork."""
    global _renderer
    _of_parents.append(_renderer)
    _renderer = Renderer()


def renderer() -> Renderer:
    """The renderer of this process."""
    return _renderer


os.register_at_fork(after_in_child=_renew)
atexit.register(lambda: _renderer.close())
