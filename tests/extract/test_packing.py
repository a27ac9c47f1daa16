"""A plan computes every missing sequence once, inside the token budget, whatever order rows came in."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.packing import Request
from extract.templating import Encoded


def ids(length: int, start: int) -> np.ndarray:
    return np.arange(start, start + length, dtype=np.uint32)


def request_of(groups: list[tuple[int, list[int]]]) -> Request:
    request = Request()
    for number, (prompt, responses) in enumerate(groups):
        encoded = [ids(length, 10_000 * number + 100 * place) for place, length in enumerate(responses)]
        request.add(Encoded(ids(prompt, 1_000_000 * (number + 1)), tuple(encoded)))
    return request


GROUPS = st.lists(st.tuples(st.integers(1, 40), st.lists(st.integers(1, 60), max_size=12)), min_size=1, max_size=12)


@given(GROUPS, st.integers(100, 400))
def test_every_sequence_is_in_exactly_one_pack_and_packs_fit(groups: list[tuple[int, list[int]]], budget: int) -> None:
    request = request_of(groups)
    wanted = [key.tobytes() for key in request.keys()]
    read: list[bytes] = []
    for pack in request.plan(set(wanted), budget):
        layout = request.layout(pack)
        assert len(layout.token_ids) <= budget
        assert len(layout.token_ids) == request.tokens_of(pack)
        read.extend(key.tobytes() for key in layout.keys)
    assert sorted(read) == sorted(wanted)


@given(GROUPS, st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_rows(groups: list[tuple[int, list[int]]], random: object) -> None:
    encoded = []
    for number, (prompt, responses) in enumerate(groups):
        for place, length in enumerate(responses):
            encoded.append(Encoded(ids(prompt, 1_000_000 * (number + 1)), (ids(length, 1000 * place),)))
    one, other = Request(), Request()
    for row in encoded:
        one.add(row)
    random.shuffle(encoded)  # type: ignore[attr-defined]
    for row in encoded:
        other.add(row)
    wanted = {key.tobytes() for key in one.keys()}
    assert one.plan(wanted, 200) == other.plan(wanted, 200)


def test_a_shared_prompt_is_computed_once(make_request: Callable[..., Request]) -> None:
    request = request_of([(50, [10] * 19)])
    packs = request.plan({key.tobytes() for key in request.keys()}, 1000)
    assert sum(len(request.layout(pack).token_ids) for pack in packs) == 50 + 19 * 10


def test_only_what_is_missing_is_planned() -> None:
    request = request_of([(5, [3, 4]), (6, [7])])
    keys = [key.tobytes() for key in request.keys()]
    (pack,) = request.plan({keys[3]}, 100)  # keys: the two prompts, then the three conversations
    layout = request.layout(pack)
    assert [key.tobytes() for key in layout.keys] == [keys[3]]
    assert len(layout.token_ids) == 5 + 4


@pytest.mark.parametrize("seed", [0, 1])
def test_real_length_mixes_waste_under_two_per_cent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [(int(rng.lognormal(4, 1)) + 1, (rng.lognormal(5, 0.7, 4).astype(int) + 1).tolist()) for _ in range(800)]
    request = request_of(groups)
    packs = request.plan({key.tobytes() for key in request.keys()}, 32_768)
    used = [request.tokens_of(pack) for pack in packs]
    assert sum(used[:-1]) >= 0.98 * 32_768 * (len(packs) - 1)


def test_a_response_continues_its_prompts_positions() -> None:
    request = request_of([(3, [2, 4])])
    (pack,) = request.plan({key.tobytes() for key in request.keys()}, 100)
    layout = request.layout(pack)
    assert layout.position_ids.tolist() == [0, 1, 2, 3, 4, 3, 4, 5, 6]
    assert layout.rows.tolist() == [2, 4, 8]
    assert layout.n_tokens.tolist() == [3, 5, 7]
