"""A run by several workers: this process reads, plans and waits; each worker computes and seals whole shards.

The plan is the same as in a run with one process, so a run may be started with one worker and finished with four,
and every row has the same bytes. Ray Data gives a shard to the next free worker, and to another one if that dies.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch

from cache import FeatureStore, UserError
from cache.lease import holder
from cache.progress import Progress, silent
from cache.ray_cluster import FROM_OUTSIDE, HERE, import_ray, joined, refuse_unreachable
from cache.settings import SHARD_SECONDS
from extract.engines.engine import Engine
from extract.engines.packed_attention import CannotPackError
from extract.packing import Request
from extract.plan import PlannedShard, plan_shards
from extract.ray.pipeline import Pipeline
from extract.ray.shard_rows import to_row
from extract.run import Outcome, announce

log = logging.getLogger(__name__)

WITHOUT_RAY = "share the work among processes with --worker"


@dataclass(frozen=True, slots=True)
class Workers:
    """The number of workers of a run, and where they run."""

    count: int
    device: str = "auto"
    """auto: one GPU per worker if Ray has any, else CPUs; cuda; cpu."""
    address: str = HERE
    """Address of a Ray cluster, or `HERE`."""

    def __str__(self) -> str:
        where = "this machine" if self.address == HERE else f"the Ray cluster at {self.address}"
        return f"{self.count} workers on {where} ({self.device})"

    def check(self) -> None:
        """Refuse settings that are known to fail, before anything is read.

        Raises:
            UserError: Ray is not installed, nobody listens at the address, the device is a single one, or this
                machine has fewer GPUs than workers.
        """
        import_ray(WITHOUT_RAY)
        refuse_unreachable(self.address)
        if self.device not in ("auto", "cuda", "cpu"):
            raise UserError(
                f"extract.device is {self.device}, and --workers gives every worker a device of its own:"
                " set it to 'auto', 'cuda' or 'cpu'"
            )
        if self.address == HERE and self.device != "cpu":
            gpus = torch.cuda.device_count()
            if self.count > gpus and (gpus or self.device == "cuda"):
                raise UserError(
                    f"--workers {self.count} needs as many GPUs, and this machine has {gpus}:"
                    f" ask for {gpus or 1}, or set extract.device to 'cpu'"
                )


def fill_with_workers(
    store: FeatureStore,
    request: Request,
    load_engine: Callable[[str], Callable[[], Engine]],
    workers: Workers,
    *,
    pack_tokens: int,
    shard_rows: int,
    shard_seconds: float = SHARD_SECONDS,
    progress: Progress = silent,
) -> Outcome:
    """As `extract.run.fill`, by several workers.

    Args:
        store: the store that receives the features; its folder must be the same one for every worker.
        request: the token sequences.
        load_engine: maps the kind of device, 'cuda' or 'cpu', to the function that each worker calls once to load its
            engine; that function is pickled.
        workers: number and place of the workers.
        pack_tokens: maximum number of tokens in a forward pass.
        shard_rows: a shard is complete with the pack that brings it to this many rows.
        shard_seconds: a worker seals a shard that takes longer in parts; see `extract.run.compute`.
        progress: called with the number of tokens in sealed shards.

    Raises:
        CannotPackError: the trial of packing failed in a worker.
        UserError: another process writes to the store, Ray cannot be reached, or a worker raised a `UserError`.
        OSError: a worker could not write, or every worker of a shard died.
        KeyboardInterrupt: passed on; unfinished shards are dropped, sealed ones stay.
    """
    started = time.monotonic()
    with store.writing():
        keys = request.keys()
        shards = plan_shards(store, request, keys, pack_tokens, shard_rows)
        if not shards:
            return Outcome(0, len(keys), 0, time.monotonic() - started)
        tokens = announce(store, request, shards, pack_tokens)
        before = len(store)
        try:
            _seal_all(store, request, shards, load_engine, workers, shard_seconds, progress, tokens)
        except KeyboardInterrupt:
            store.refresh()
            log.warning(
                "interrupted: %s features were sealed and stay, the shards in hand are dropped;"
                " run the same command again to go on",
                f"{len(store) - before:,}",
            )
            raise
        store.refresh()
        if store.missing(keys).any():
            raise OSError(
                f"{int(store.missing(keys).sum()):,} features did not reach {store.folder}, although every worker"
                " reported its shards as sealed: put store.root on a file system that all workers see"
            )
        sealed = len(store) - before
    return Outcome(sealed, len(keys) - sealed, tokens, time.monotonic() - started)


def _seal_all(
    store: FeatureStore,
    request: Request,
    shards: Sequence[PlannedShard],
    load_engine: Callable[[str], Callable[[], Engine]],
    workers: Workers,
    shard_seconds: float,
    progress: Progress,
    tokens: int,
) -> None:
    """Let the workers seal all shards."""
    count = min(workers.count, len(shards))
    threads = max(1, (os.cpu_count() or 1) // count) if workers.address == HERE else 1
    with joined(workers.address, count * threads, object_bytes=4 * tokens, without=WITHOUT_RAY) as ray:
        on_gpus = _on_gpus(ray, workers, count)
        log.info(
            "%s, %s for each",
            replace(workers, count=count, device="cuda" if on_gpus else "cpu"),
            "a GPU" if on_gpus else f"{threads} of its processor cores",
        )
        if count < workers.count:
            log.warning("there are only %s shards: a smaller store.shard_rows makes more", count)
        pipeline = Pipeline(
            folder=store.folder.resolve(),
            run=holder(store.folder),
            load_engine=load_engine("cuda" if on_gpus else "cpu"),
            shard_seconds=shard_seconds,
            workers=count,
            cpus=1 if on_gpus else threads,
            gpus=int(on_gpus),
        )
        rows = (to_row(request, shard) for shard in shards)
        if workers.address.startswith(FROM_OUTSIDE):
            reports = pipeline.reports_from_outside(ray, rows)
        else:
            reports = pipeline.reports(rows)
        done = 0
        progress("extracting", done, tokens, "tokens")
        with closing(reports):
            for report in reports:
                _log_and_raise(report)
                done += report["tokens"]
                progress("extracting", done, tokens, "tokens")


def _on_gpus(ray: Any, workers: Workers, count: int) -> bool:
    """Whether each worker gets a GPU."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    on_gpus = workers.device == "cuda" or (workers.device == "auto" and gpus > 0)
    if on_gpus and gpus < count:
        log.warning("the cluster has %s GPUs now: of %s workers the others start when it has more", gpus, count)
    return on_gpus


def _log_and_raise(report: dict[str, Any]) -> None:
    for note in report["notes"]:
        log.warning("%s", note)
    if report["cannot_pack"] is not None:
        raise CannotPackError(report["cannot_pack"])
    if report["mistake"] is not None:
        raise UserError(report["mistake"])
    if report["failure"] is not None:
        raise OSError(report["failure"])
