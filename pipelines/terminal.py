"""The command line's surroundings: common options, progress, being told to stop, and how a result is shown."""

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from cache.progress import Progress
    from pipelines.run import Run

RecipeOption = Annotated[Path, typer.Option("--recipe", help="The TOML file that says what to run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result object alone, for machines.")]

ModelDir = typer.Argument(
    metavar="MODEL_DIR", help="A folder that `armorm export` wrote, or the published checkpoint's.", show_default=False
)

WIDTH = 116
"""Columns where the output is no terminal, so that a table in a log is not broken."""

SECONDS_BETWEEN_LINES = 15.0


def choice(names: Iterable[str], description: str, *flags: str) -> Any:
    """An option that takes one of some names."""
    known = tuple(names)

    def parse(name: str) -> str:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, known))}.")
        return name

    return typer.Option(*flags, parser=parse, metavar=f"[{'|'.join(known)}]", help=description)


def open_run(recipe: Path) -> "Run":
    """The run of a recipe's file.

    Raises:
        UserError: the file is missing, or not a recipe.
    """
    from pipelines.recipe import read_recipe

    settings = read_recipe(recipe)  # before the imports of `run`, which take longer
    from pipelines.run import Run

    return Run(settings)


def finish(result: object, as_json: bool, show: Callable[[], None]) -> None:
    """Show a command's result to people, or print it alone for machines."""
    if as_json:
        from pipelines.results import to_json

        sys.stdout.write(to_json(result))
    else:
        show()


def console(*, stderr: bool = False) -> "Console":
    """Standard output or error, on which names and reasons from recipes and data are text, whatever they look like."""
    from rich.console import Console

    plain = Console(markup=False, emoji=False, stderr=stderr)
    return plain if plain.is_terminal else Console(width=WIDTH, markup=False, emoji=False, stderr=stderr)


@contextmanager
def interrupted_by_termination() -> Iterator[None]:
    """Let SIGTERM, which a scheduler sends, end a run as Ctrl-C does, with finished work stored."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def reporting() -> "Iterator[Progress]":
    """A function to report progress to, drawn on standard error while the block runs.

    A terminal gets bars, anything else a line now and then; both show the rate and the time left.
    """
    from rich.console import Console

    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield _Lines()
        return
    with _bars(errors) as report, _above_the_bars():
        yield report


@contextmanager
def _bars(errors: "Console") -> "Iterator[Progress]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0.0:,.0f} {task.fields['unit']}/s", style="progress.data.speed")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as bars:
        tasks = {}

        def report(what: str, done: int, total: int | None, unit: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, unit=unit)
            bars.update(tasks[what], completed=done, total=total)

        yield report


@contextmanager
def _above_the_bars() -> Iterator[None]:
    """Let log lines go through the console that draws the bars, which prints them above."""
    handlers = [handler for handler in logging.root.handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)


class _Lines:
    """One line when a piece of work has gone on for a while, and then every few seconds."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._last_line = time.monotonic()

    def __call__(self, what: str, done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        started = self._started.setdefault(what, now)
        if now - self._last_line < SECONDS_BETWEEN_LINES or now == started:
            return
        self._last_line = now
        rate = done / (now - started)
        of = f" of {total:,}" if total is not None else ""
        left = f", {(total - done) / rate:,.0f} s left" if total is not None and rate > 0 else ""
        print(f"{what}: {done:,}{of} {unit}, {rate:,.0f} {unit}/s{left}", file=sys.stderr, flush=True)  # noqa: T201
