"""The Ray Data pipeline: planned shards in, workers' reports out."""

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from extract.engines.engine import Engine
from extract.ray.shard_worker import ShardWorker

EARLY_DEATHS = 3
"""Number of workers that may die in succession while they start, so that the loss of a machine ends no run."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The workers of a run, and the arguments they are made with."""

    folder: Path
    run: str
    load_engine: Callable[[], Engine]
    shard_seconds: float
    """Arguments of `ShardWorker`, as are the three before."""
    workers: int
    """Number of workers."""
    cpus: int
    """CPUs per worker."""
    gpus: int
    """GPUs per worker: 1 or 0."""

    def reports(self, shards: Iterable[pa.Table]) -> Generator[dict[str, Any], None, None]:
        """Yield one row of `shard_worker.REPORT` per shard, as the shards are sealed.

        Call it in a process inside the cluster, in a Ray driver or an actor.

        Args:
            shards: rows of `shard_rows.SCHEMA`.
        """
        import ray.data

        # The caller reports progress, and errors are raised: Ray Data's own messages would repeat them.
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_consecutive_actor_init_deaths = EARLY_DEATHS
        sealed = ray.data.from_arrow(list(shards)).map_batches(
            ShardWorker,
            fn_constructor_args=(self.folder, self.run, self.load_engine, self.shard_seconds),
            batch_size=1,
            batch_format="pyarrow",
            # One shard at a time: a second one would wait for the first while another worker is idle.
            compute=ray.data.ActorPoolStrategy(size=self.workers, max_tasks_in_flight_per_actor=1),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        # Closed also when the caller stops early, or Ray Data would continue after Ray has ended.
        with closing(iter(sealed.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))) as batches:
            for batch in batches:
                yield from batch.to_pylist()

    def reports_from_outside(self, ray: Any, shards: Iterable[pa.Table]) -> Generator[dict[str, Any], None, None]:
        """As `reports`, for a process that is connected by Ray's client, through which Ray Data does not run (2.60)."""
        coordinator = ray.remote(num_cpus=0)(Coordinator).remote(self, [ray.put(shard) for shard in shards])
        while (report := ray.get(coordinator.next_report.remote())) is not None:
            yield report


class Coordinator:
    """An actor that runs a pipeline inside the cluster; it ends with the connection of its driver."""

    def __init__(self, pipeline: Pipeline, shards: list[Any]) -> None:
        """Start the pipeline on shards that are given as references to tables in Ray's object store."""
        import ray

        self._reports = pipeline.reports(ray.get(shards))

    def next_report(self) -> dict[str, Any] | None:
        """Wait for the next report; None after the last."""
        return next(self._reports, None)
