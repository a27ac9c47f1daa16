"""A planned shard sent to another process arrives as it was."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pyarrow as pa

from cache.keys import Keys
from extract.packing import Request, pack_keys
from extract.plan import PlannedShard
from extract.ray.shard_rows import SCHEMA, from_rows, to_row


def planned(request: Request, pack_tokens: int = 256, packs: int = 3) -> list[PlannedShard]:
    plan = request.plan(as_set(request.keys()), pack_tokens)
    starts = range(0, len(plan), packs)
    return [PlannedShard(f"shard-{start}", tuple(plan[start : start + packs])) for start in starts]


def as_set(keys: Keys) -> set[bytes]:
    return {key.tobytes() for key in keys}


def test_shards_arrive_with_the_same_packs_keys_and_tokens(make_request: Callable[..., Request]) -> None:
    request = make_request(seed=5, prompts=30, most_responses=12)
    shards = planned(request)
    assert any(not item.read_prompt for shard in shards for pack in shard.packs for item in pack), "no repeated prompt"
    rows = pa.concat_tables([to_row(request, shard) for shard in shards])
    assert rows.schema == SCHEMA
    arrived = from_rows(rows)
    assert [shard for _, shard in arrived] == shards
    for part, shard in arrived:
        assert as_set(part.keys()).issuperset(key for pack in shard.packs for key in pack_keys(pack))
        for pack in shard.packs:
            sent, got = request.layout(pack), part.layout(pack)
            for field in fields(sent):
                np.testing.assert_array_equal(getattr(sent, field.name), getattr(got, field.name))


def test_a_shard_arrives_without_the_rest_of_the_request(make_request: Callable[..., Request]) -> None:
    request = make_request(seed=6, prompts=30)
    shard = planned(request)[0]
    ((part, _),) = from_rows(to_row(request, shard))
    assert part.tokens() == request.tokens_of([item for pack in shard.packs for item in pack])
    assert len(part.keys()) < len(request.keys())


def test_a_prompt_without_responses_is_sent_as_well(make_request: Callable[..., Request]) -> None:
    request = make_request(seed=7, prompts=4)
    prompts = set(map(bytes, request.keys()[:4]))  # the prompts come first
    (pack,) = request.plan(prompts, 4096)
    assert all(item.responses == () for item in pack)
    shard = PlannedShard("prompts", (pack,))
    ((part, arrived),) = from_rows(to_row(request, shard))
    assert arrived == shard
    np.testing.assert_array_equal(part.layout(pack).token_ids, request.layout(pack).token_ids)


def test_no_rows_are_no_shards() -> None:
    assert from_rows(SCHEMA.empty_table()) == []
