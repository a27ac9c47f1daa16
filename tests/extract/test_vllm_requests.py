"""Requests to vLLM cover a pack: each feature once, at the end of the very sequence that its key names."""

from collections.abc import Callable

import numpy as np
import pytest

from cache import token_key
from extract.engines.vllm_requests import state_requests
from extract.packing import Request
from extract.templating import Encoded


@pytest.mark.parametrize("pack_tokens", [256, 1000, 4096])
def test_every_feature_is_read_once_at_the_end_of_the_sequence_that_its_key_names(
    make_request: Callable[..., Request], pack_tokens: int
) -> None:
    request = make_request(seed=21, prompts=30)
    keys = set(map(bytes, request.keys()))
    rng = np.random.default_rng(0)
    for missing in (keys, {key for key in sorted(keys) if rng.random() < 0.5}):
        for pack in request.plan(missing, pack_tokens):
            layout = request.layout(pack)
            read = []
            for asked in state_requests(layout):
                assert asked.positions[-1] == len(asked.token_ids) - 1
                for position, feature in zip(asked.positions, asked.features, strict=True):
                    assert token_key(asked.token_ids[: position + 1].astype(np.uint32)) == bytes(layout.keys[feature])
                    read.append(feature)
            assert sorted(read) == list(range(len(layout.rows)))


def test_a_prompt_with_responses_costs_no_request_of_its_own() -> None:
    request = Request()
    ids = [np.arange(start, start + 9, dtype=np.uint32) for start in (10, 20, 30, 40, 50)]
    request.add(Encoded(ids[0], (ids[1], ids[2], ids[3])))
    request.add(Encoded(ids[4], ()))
    (pack,) = request.plan(set(map(bytes, request.keys())), 4096)
    asked = state_requests(request.layout(pack))
    assert [found.positions for found in asked] == [(8, 17), (17,), (17,), (8,)]
    assert [found.reads_last_token_only for found in asked] == [False, True, True, True]
