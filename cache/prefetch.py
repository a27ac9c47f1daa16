"""Prefetching: a thread makes the next items while the caller works on the current one."""

from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")

PATIENCE = 0.1
"""Seconds after which a waiting thread checks whether the other one is still there."""


def prefetched(items: Iterable[Item], ahead: int = 2) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made by one other thread, `ahead` of them in advance.

    To do work in that thread, hand over a lazy `map(work, items)`. An error while making an item is raised where
    that item would have come. When the caller stops early, so does the thread.
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
    try:
        thread.start()
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
            del item  # else it would stay in memory while the caller waits for the next one
    finally:
        stop.set()
        if thread.ident is not None:  # an interrupt may come before it has started
            thread.join()
