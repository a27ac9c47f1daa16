"""The second pass of a run: the backbone computes every pack that is not sealed yet."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cache import FeatureStore
from cache.progress import Progress, silent
from cache.settings import SHARD_SECONDS
from cache.worker import ALONE, Worker
from extract.engines.engine import Engine
from extract.open_shard import OpenShard
from extract.packing import PackLayout, Request, pack_keys
from extract.plan import PlannedShard, plan_shards
from extract.shard_writer import ShardWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of a second pass."""

    features_new: int
    """Number of features computed and stored."""
    features_reused: int
    """Number of requested features that were in the store before."""
    tokens_computed: int
    seconds: float


def fill(
    store: FeatureStore,
    request: Request,
    load_engine: Callable[[], Engine],
    *,
    pack_tokens: int,
    shard_rows: int,
    shard_seconds: float = SHARD_SECONDS,
    worker: Worker = ALONE,
    progress: Progress = silent,
) -> Outcome:
    """Compute and seal every feature of `request` that the store lacks.

    Args:
        store: the store that receives the features.
        request: the token sequences.
        load_engine: called once, and only if a feature is missing.
        pack_tokens: maximum number of tokens in a forward pass.
        shard_rows: a shard is sealed with the pack that brings it to this many rows.
        shard_seconds: a shard is sealed earlier if it takes longer than this; see `compute`.
        worker: which of several workers this run is; it computes that worker's prompts.
        progress: called with the number of tokens computed.

    Raises:
        UserError: another process writes to the store.
        KeyboardInterrupt: passed on, after the features computed so far are sealed.
    """
    started = time.monotonic()
    with store.writing(worker):
        keys = request.keys(worker)
        shards = plan_shards(store, request, keys, pack_tokens, shard_rows)
        if not shards:
            return Outcome(0, len(keys), 0, time.monotonic() - started)
        tokens = announce(store, request, shards, pack_tokens)
        sealed = compute(store, request, shards, load_engine(), progress, shard_seconds)
        store.refresh()
    return Outcome(sealed, len(keys) - sealed, tokens, time.monotonic() - started)


def announce(store: FeatureStore, request: Request, shards: Sequence[PlannedShard], pack_tokens: int) -> int:
    """Log the size of the planned work; returns its number of tokens."""
    packs = [pack for shard in shards for pack in shard.packs]
    tokens = request.tokens_of([item for pack in packs for item in pack])
    log.info(
        "%s tokens in %s packs (%.1f %% full) and %s shards are to be computed; the features take %.1f MB",
        f"{tokens:,}",
        f"{len(packs):,}",
        100 * tokens / (len(packs) * pack_tokens),
        f"{len(shards):,}",
        sum(len(pack_keys(pack)) for pack in packs) * store.row_bytes / 1e6,
    )
    return tokens


def compute(
    store: FeatureStore,
    request: Request,
    shards: Sequence[PlannedShard],
    engine: Engine,
    progress: Progress,
    shard_seconds: float = SHARD_SECONDS,
) -> int:
    """Compute and seal planned shards; returns the number of features sealed. Call it inside `store.writing`.

    A planned shard that takes longer than `shard_seconds` is sealed in several parts, each of whole packs: the plan
    says what shares a pack, which a vector depends on, and the device's rate says how many packs share a file.
    On an interrupt it seals the finished packs as a part before it passes the interrupt on.
    """
    taken: deque[PackLayout] = deque()

    def layouts() -> Iterator[PackLayout]:
        for pack in (pack for shard in shards for pack in shard.packs):
            taken.append(request.layout(pack))
            yield taken[-1]

    total = request.tokens_of([item for shard in shards for pack in shard.packs for item in pack])
    done = 0
    with ShardWriter(store) as writer:
        unsealed = OpenShard(shard_seconds)
        try:
            features = engine.features(layouts())
            for shard in shards:
                for number in range(1, len(shard.packs) + 1):
                    states = next(features)
                    unsealed.add((taken.popleft(), states))
                    done += len(unsealed.parts[-1][0].token_ids)
                    progress("extracting", done, total, "tokens")
                    if number == len(shard.packs) or unsealed.is_full():
                        writer.seal(shard.name, unsealed.parts)
                        unsealed.clear()
            writer.wait()
        except KeyboardInterrupt:
            writer.wait()
            if unsealed.parts and unsealed.parts is not writer.given:
                writer.seal(shard.name, unsealed.parts)
                writer.wait()
            log.warning(
                "interrupted: %s features were sealed and stay; run the same command again to go on",
                f"{writer.features:,}",
            )
            raise
    return writer.features
