"""Conversion of planned shards to Arrow rows, which any process can read, and back."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from cache.names import ShardName
from extract.packing import PackItem, Request
from extract.plan import PlannedShard
from extract.templating import Encoded, TokenIds

TOKEN_IDS = pa.list_(pa.uint32())
SCHEMA = pa.schema(
    {
        "shard": pa.string(),
        "pack": pa.list_(pa.int32()),
        "read_prompt": pa.list_(pa.bool_()),
        "prompt": pa.list_(TOKEN_IDS),
        "responses": pa.list_(pa.list_(TOKEN_IDS)),
    }
)
"""One row per shard; its lists have one element per item of the shard's packs. Keys are not sent: they are digests of
the token ids, and the receiver computes them."""


def to_row(request: Request, shard: PlannedShard) -> pa.Table:
    """A shard and the token ids of all its packs, as a table of one row."""
    items = [
        (number, item, ids)
        for number, pack in enumerate(shard.packs)
        for item, ids in zip(pack, request.token_ids(pack), strict=True)
    ]
    responses = [ids for _, _, (_, responses) in items for ids in responses]
    ends = np.cumsum([0, *(len(responses) for _, _, (_, responses) in items)], dtype=np.int32)  # (items + 1,)
    columns = [
        pa.array([number for number, _, _ in items], pa.int32()),
        pa.array([item.read_prompt for _, item, _ in items], pa.bool_()),
        _ids([prompt for _, _, (prompt, _) in items]),
        pa.ListArray.from_arrays(ends, _ids(responses)),
    ]
    whole = pa.array([0, len(items)], pa.int32())
    return pa.Table.from_arrays(
        [pa.array([shard.name]), *(pa.ListArray.from_arrays(whole, column) for column in columns)], schema=SCHEMA
    )


def from_rows(table: pa.Table) -> list[tuple[Request, PlannedShard]]:
    """The shards of a table, each with a request that has the token ids of its packs."""
    return [_from_row({name: table[name][row] for name in SCHEMA.names}) for row in range(len(table))]


def _from_row(row: dict[str, pa.Scalar]) -> tuple[Request, PlannedShard]:
    request = Request()
    packs: list[list[PackItem]] = []
    numbers, reads = row["pack"].as_py(), row["read_prompt"].as_py()
    for number, read_prompt, prompt, responses in zip(
        numbers, reads, row["prompt"].values, row["responses"].values, strict=True
    ):
        encoded = Encoded(_array(prompt), tuple(map(_array, responses.values)))
        if number == len(packs):
            packs.append([])
        packs[number].append(PackItem(*request.add(encoded), read_prompt))
    return request, PlannedShard(ShardName(row["shard"].as_py()), tuple(map(tuple, packs)))


def _ids(sequences: Sequence[TokenIds]) -> pa.ListArray:
    ends = np.cumsum([0, *map(len, sequences)], dtype=np.int32)  # (sequences + 1,)
    return pa.ListArray.from_arrays(ends, np.concatenate([np.empty(0, np.uint32), *sequences]))


def _array(ids: pa.ListScalar) -> TokenIds:
    return ids.values.to_numpy()  # (tokens,) uint32, a view of Arrow's memory
