"""Progress of long work: the function that reports it, which the command line draws."""

from typing import Protocol


class Progress(Protocol):
    """Called now and then with the name of the work, how much is done, the total (None if unknown) and the unit."""

    def __call__(self, what: str, done: int, total: int | None, unit: str) -> None:
        """Note the state of the work."""


def silent(what: str, done: int, total: int | None, unit: str) -> None:
    """Discard the report."""
