"""The parts of a request that fall to workers are disjoint and complete, and do not depend on the order of rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cache.worker import Worker
from extract.packing import Request, pack_keys
from extract.templating import Encoded
from tests.extract.test_packing import GROUPS, request_of

# Few distinct tokens, so that one conversation's prompt is another's whole, or the two are cut in other places.
MEETING = st.lists(
    st.tuples(
        st.lists(st.integers(0, 1), min_size=1, max_size=4),
        st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=3), max_size=4),
    ),
    min_size=1,
    max_size=12,
)


def request_of_tokens(conversations: list[tuple[list[int], list[list[int]]]]) -> Request:
    request = Request()
    for prompt, responses in conversations:
        arrays = tuple(np.array(response, dtype=np.uint32) for response in responses)
        request.add(Encoded(np.array(prompt, dtype=np.uint32), arrays))
    return request


def keys_of(request: Request, worker: Worker) -> list[bytes]:
    return [key.tobytes() for key in request.keys(worker)]


@given(st.one_of(GROUPS.map(request_of), MEETING.map(request_of_tokens)), st.integers(1, 7))
def test_parts_are_disjoint_and_complete(request: Request, of: int) -> None:
    parts = [keys_of(request, Worker(number, of)) for number in range(1, of + 1)]
    together = [key for part in parts for key in part]
    assert len(together) == len(set(together))
    assert set(together) == {key.tobytes() for key in request.keys()}


@given(MEETING, st.integers(1, 4), st.randoms(use_true_random=False))
def test_parts_do_not_depend_on_the_order_of_rows(
    conversations: list[tuple[list[int], list[list[int]]]], of: int, random: object
) -> None:
    one = request_of_tokens(conversations)
    random.shuffle(conversations)  # type: ignore[attr-defined]
    other = request_of_tokens(conversations)
    for number in range(1, of + 1):
        assert set(keys_of(one, Worker(number, of))) == set(keys_of(other, Worker(number, of)))


@given(MEETING, st.integers(1, 4))
def test_the_packs_of_a_worker_read_its_keys_and_no_other(
    conversations: list[tuple[list[int], list[list[int]]]], of: int
) -> None:
    request = request_of_tokens(conversations)
    for number in range(1, of + 1):
        own = keys_of(request, Worker(number, of))
        read = [key for pack in request.plan(set(own), 20) for key in pack_keys(pack)]
        assert sorted(read) == sorted(own)


def test_the_worker_of_a_prompt_is_the_same_in_every_release() -> None:
    """Else a worker that goes on after an update would compute what another one has."""
    request = request_of([(3, [2]), (4, [1, 2]), (5, [])])
    found = [[len(keys_of(request, Worker(number, of))) for number in range(1, of + 1)] for of in (2, 3)]
    assert found == [[2, 4], [0, 3, 3]]
