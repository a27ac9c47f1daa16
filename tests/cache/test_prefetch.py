"""Reading ahead: the same items, never more than asked for in advance, and errors where they belong."""

import threading
import time
from collections.abc import Iterator

import pytest

from cache.prefetch import prefetched


def test_items_come_in_their_order() -> None:
    assert list(prefetched(iter(range(100)))) == list(range(100))
    assert list(prefetched([])) == []
    assert list(prefetched([None, None])) == [None, None]


def test_the_next_item_is_made_while_the_current_one_is_worked_on() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    first = next(stream := prefetched(items()))
    assert first == 0
    assert made[1].wait(timeout=10)  # without anybody having asked for it
    assert list(stream) == [1, 2]


def test_no_more_items_than_allowed_are_made_in_advance() -> None:
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        for number in range(50):
            made += 1
            yield number

    stream = prefetched(items(), ahead=2)
    next(stream)
    time.sleep(0.3)
    assert made <= 4  # one given out, two waiting, one in the thread's hand
    stream.close()


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the disk is on fire")

    stream = prefetched(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="the disk is on fire"):
        next(stream)


def test_a_caller_that_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    stream = prefetched(iter(range(1000)))
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before


def test_work_on_the_items_is_done_by_the_other_thread() -> None:
    threads = list(prefetched(threading.current_thread().name for _ in range(3)))
    assert threads == ["prefetch"] * 3
