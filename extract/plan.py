"""The pack plan of a run, on the disk.

What shares a pack moves a feature by rounding, so a resumed run must use the packs that the first run
chose. The plan is written before the first pass of the backbone, under the digest of the requested keys;
a run that requests the same keys continues with it, and seals the same rows with the same bytes.

A planned shard may be sealed in several parts, when it takes long or is interrupted. Its parts are files named
`<shard>`, `<shard>-2`, `<shard>-3`, ….
"""

import gc
import hashlib
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count, groupby
from pathlib import Path

import numpy as np

from cache import FeatureStore, UserError, plan_file
from cache.keys import KeyIndex, Keys, as_keys, sorted_keys
from cache.names import ShardName
from cache.plan_file import PlanLine
from extract.packing import Pack, PackItem, Request, pack_keys


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """The name of a shard, and those of its packs that are not sealed yet."""

    name: ShardName
    packs: tuple[Pack, ...]


def plan_shards(
    store: FeatureStore, request: Request, keys: Keys, pack_tokens: int, shard_rows: int
) -> list[PlannedShard]:
    """The shards to be sealed for these keys, as planned now or by the run that is resumed.

    A shard that was sealed in part comes with its remaining packs.

    Args:
        store: the store, whose features are not planned again.
        request: the token sequences.
        keys: (n, 16) uint8: the keys of the request that are wanted, all or one worker's.
        pack_tokens: maximum number of tokens in a pack.
        shard_rows: a shard is complete with the pack that brings it to this many rows.

    Raises:
        UserError: the plan on the disk is damaged.
    """
    with _no_collection():
        return _planned(store, request, keys, pack_tokens, shard_rows)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector rests: it would look again and again at millions of objects, none of them garbage.

    Its share of a row's time grew with the rows (docs/benchmarks.md, the plan).
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


def _planned(
    store: FeatureStore, request: Request, keys: Keys, pack_tokens: int, shard_rows: int
) -> list[PlannedShard]:
    missing = sorted_keys(keys[store.missing(keys)])  # (m, 16)
    if not len(missing):
        return []
    digest = _digest(sorted_keys(keys), pack_tokens, shard_rows)
    path = store.folder / plan_file.FOLDER / f"{digest}.parquet"
    if path.exists():
        planned = _read(path)
        everything = len(missing) == len(keys)
        waiting = planned if everything else list(unsealed(planned, {key.tobytes() for key in missing}))
        if _fill(waiting, request, missing):
            return waiting
    # There is no plan yet, or its shards were sealed and some of them have been removed since.
    packs = request.plan(missing, pack_tokens)
    shards = _cut(packs, shard_rows, _digest(missing, pack_tokens, shard_rows)[:12])
    _write(path, shards)
    return shards


def unsealed(shards: Iterable[PlannedShard], missing: set[bytes]) -> Iterator[PlannedShard]:
    """Planned shards with only those packs of which a feature is missing; a shard without such a pack is left out."""
    for shard in shards:
        packs = tuple(pack for pack in shard.packs if not missing.isdisjoint(pack_keys(pack)))
        if packs:
            yield PlannedShard(shard.name, packs)


def free_name(shard: ShardName, taken: Container[str]) -> ShardName:
    """The name of the next part of a planned shard, given the names of all that are sealed."""
    names = chain([shard], (f"{shard}-{number}" for number in count(2)))
    return ShardName(next(name for name in names if name not in taken))


def is_part(name: str, shard: str) -> bool:
    """Whether a file of this name is a part of a planned shard."""
    return name == shard or re.fullmatch(rf"{re.escape(shard)}-\d+", name) is not None


def _fill(shards: list[PlannedShard], request: Request, missing: Keys) -> bool:
    """Whether these shards contain all missing keys, and the request has the tokens of all their items."""
    planned = KeyIndex(as_keys(key for shard in shards for pack in shard.packs for key in pack_keys(pack)))
    held = all(request.holds([item for pack in shard.packs for item in pack]) for shard in shards)
    return held and bool((planned.find(missing) >= 0).all())


def _cut(packs: list[Pack], shard_rows: int, prefix: str) -> list[PlannedShard]:
    shards: list[PlannedShard] = []
    waiting: list[Pack] = []
    rows = 0
    for number, pack in enumerate(packs, start=1):
        waiting.append(pack)
        rows += len(pack_keys(pack))
        if rows >= shard_rows or number == len(packs):
            shards.append(PlannedShard(ShardName(f"{prefix}-{len(shards):05d}"), tuple(waiting)))
            waiting, rows = [], 0
    return shards


def _digest(keys: Keys, pack_tokens: int, shard_rows: int) -> str:
    digest = hashlib.sha256(f"{pack_tokens} {shard_rows} ".encode())
    digest.update(np.ascontiguousarray(keys).data)
    return digest.hexdigest()


def _write(path: Path, shards: list[PlannedShard]) -> None:
    plan_file.write(
        path,
        (
            PlanLine(shard.name, pack_number, item_number, item.prompt, response, item.read_prompt)
            for shard in shards
            for pack_number, pack in enumerate(shard.packs)
            for item_number, item in enumerate(pack)
            for response in item.responses or (None,)
        ),
    )


def _read(path: Path) -> list[PlannedShard]:
    """The shards of a plan on the disk.

    Raises:
        UserError: it is damaged.
    """
    shards: dict[ShardName, dict[int, list[PackItem]]] = {}
    for (shard, pack, _, prompt), same in groupby(plan_file.read(path), key=lambda line: line[:4]):
        lines = list(same)
        responses = tuple(line.response for line in lines if line.response is not None)
        shards.setdefault(shard, {}).setdefault(pack, []).append(PackItem(prompt, responses, lines[0].read_prompt))
    found = [PlannedShard(name, tuple(tuple(pack) for pack in packs.values())) for name, packs in shards.items()]
    keys = as_keys(key for shard in found for pack in shard.packs for key in pack_keys(pack))
    if (np.diff(sorted_keys(keys).view(">u8"), axis=0) == 0).all(axis=-1).any():
        raise UserError(f"{path} names a feature twice: remove it, and run `armorm extract` again")
    return found
