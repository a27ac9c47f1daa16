"""Reading ahead: the next items are made by a thread while the current one is worked on."""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")

PATIENCE = 0.1
"""Seconds between two looks at whether anybody still waits for the thread."""


def prefetched(items: Iterable[Item], ahead: int = 2) -> Iterator[Item]:
    """The same items in the same order, at most `ahead` of them made in advance.

    An error while making an item is raised where that item would have come. When the caller stops early, so
    does the thread.
    """
    ready: Queue[tuple[Item | None, BaseException | None]] = Queue(ahead)
    stop = Event()

    def offer(entry: tuple[Item | None, BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=PATIENCE)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer((item, None)):
                    return
        except BaseException as error:  # raised again by the thread that asked for the items
            offer((None, error))
        else:
            offer((None, StopIteration()))

    thread = Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = ready.get(timeout=PATIENCE)
            except Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # an entry without an error has an item
            del item  # or it would stay in memory while the next one is waited for
    finally:
        stop.set()
        thread.join()
