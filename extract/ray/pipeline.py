"""The Ray Data pipeline: planned shards as rows in, what workers report of them out."""

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from extract.engines.engine import Engine
from extract.ray.shard_worker import ShardWorker

FROM_OUTSIDE = "ray://"
"""How an address begins that is reached through Ray's client, from a machine that is no part of the cluster."""

EARLY_DEATHS = 3
"""Workers that may die one after another while they start: a machine that is taken away then ends no run."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What workers are to be, and what they need to know."""

    folder: Path
    run: str
    load_engine: Callable[[], Engine]
    """These three: see `ShardWorker`."""
    workers: int
    cpus: int
    """Of each worker."""
    gpus: int
    """Of each worker: 1 or 0."""

    def reports(self, shards: Iterable[pa.Table]) -> Generator[dict[str, Any], None, None]:
        """A row of `shard_worker.REPORT` for each row of `shard_rows.SCHEMA`, as they are sealed.

        To be called by a process that is a part of the cluster, as a Ray driver or in an actor.
        """
        import ray.data

        # How far the work is, its caller tells; what fails is raised as well.
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_consecutive_actor_init_deaths = EARLY_DEATHS
        sealed = ray.data.from_arrow(list(shards)).map_batches(
            ShardWorker,
            fn_constructor_args=(self.folder, self.run, self.load_engine),
            batch_size=1,
            batch_format="pyarrow",
            # One at a time: a second shard would wait behind the first while another worker is idle.
            compute=ray.data.ActorPoolStrategy(size=self.workers, max_tasks_in_flight_per_actor=1),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        # Closed by whoever stops early, or Ray Data would go on after Ray has ended.
        with closing(iter(sealed.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))) as batches:
            for batch in batches:
                yield from batch.to_pylist()

    def reports_from_outside(self, ray: Any, shards: Iterable[pa.Table]) -> Generator[dict[str, Any], None, None]:
        """The same for a process that is connected by Ray's client, through which Ray Data does not run (2.60)."""
        coordinator = ray.remote(num_cpus=0)(Coordinator).remote(self, [ray.put(shard) for shard in shards])
        while (report := ray.get(coordinator.next_report.remote())) is not None:
            yield report


class Coordinator:
    """Runs a pipeline inside the cluster; it ends with the connection of the driver that made it."""

    def __init__(self, pipeline: Pipeline, shards: list[Any]) -> None:
        """Take the pipeline, and its shards as references to tables in Ray's object store."""
        import ray

        self._reports = pipeline.reports(ray.get(shards))

    def next_report(self) -> dict[str, Any] | None:
        """Wait for the next report; None after the last."""
        return next(self._reports, None)
