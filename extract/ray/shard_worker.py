"""A worker process, which computes and seals the shards it gets, and reports on each."""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from cache import FeatureStore, UserError, manifest, plan_file
from cache.lease import hold_as_worker, holder
from cache.progress import silent
from cache.settings import SHARD_SECONDS
from extract.engines.engine import Engine
from extract.engines.packed_attention import CannotPackError
from extract.packing import Request
from extract.plan import PlannedShard, is_part, unsealed
from extract.ray.shard_rows import from_rows
from extract.run import compute

REPORT = pa.schema(
    {
        "shard": pa.string(),
        "tokens": pa.int64(),
        "notes": pa.list_(pa.string()),
        "mistake": pa.string(),
        "failure": pa.string(),
        "cannot_pack": pa.string(),
    }
)
"""One row per shard: its number of tokens, the messages logged at level warning or above, and the message of a
`UserError` (mistake) or an `OSError` (failure), if there was one, or the reason of a `CannotPackError`. Errors are
sent as text, since an exception from another process has lost its type and traceback."""

MOST_ATTEMPTS = 4
"""Number of workers that may die of the same shard before the run fails."""


class ShardWorker:
    """A function of shards, as rows, that seals them in the store and returns reports, as rows.

    The process that plans the shards holds the store's lease; see `cache.lease.hold_as_worker`. A shard may be given
    to a second worker if Ray thinks the first one dead: the second waits for the first to end, and computes what the
    first has not sealed.
    """

    def __init__(
        self, folder: Path, run: str, load_engine: Callable[[], Engine], shard_seconds: float = SHARD_SECONDS
    ) -> None:
        """Store the arguments; the store and the engine are opened with the first shard.

        Args:
            folder: the store's folder.
            run: `cache.lease.holder` of the store, as the planning process sees it.
            load_engine: called once.
            shard_seconds: as `extract.run.compute`.
        """
        self._folder = folder
        self._run = run
        self._load_engine = load_engine
        self._shard_seconds = shard_seconds
        self._lock: FileLock | None = None
        self._notes = _Notes()
        for room in ("cache", "extract"):
            logging.getLogger(room).addHandler(self._notes)

    @cached_property
    def _store(self) -> FeatureStore:
        return FeatureStore.open(self._folder.parent, self._folder.name)

    @cached_property
    def _engine(self) -> Engine:
        return self._load_engine()

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Seal shards, given as rows of `shard_rows.SCHEMA`; returns their reports, as rows of `REPORT`."""
        reports = []
        for request, shard in from_rows(rows):
            mistake = failure = cannot_pack = None
            tokens = request.tokens_of([item for pack in shard.packs for item in pack])
            try:
                self._seal(request, shard)
            except CannotPackError as error:
                cannot_pack = error.reason
            except UserError as error:
                mistake = str(error)
            except OSError as error:
                failure = f"{error} (on {socket.gethostname()})"
            reports.append((shard.name, tokens, self._notes.take(), mistake, failure, cannot_pack))
        columns = zip(*reports, strict=True) if reports else [[]] * len(REPORT)
        return pa.Table.from_arrays(
            [pa.array(column, kind) for column, kind in zip(columns, REPORT.types, strict=True)], schema=REPORT
        )

    def _seal(self, request: Request, shard: PlannedShard) -> None:
        if self._lock is None:
            self._refuse_other_folder()
            lock = hold_as_worker(self._folder)
            self._refuse_other_folder()  # the run may have ended, and another begun, before the lock was held
            self._lock = lock
        claim = self._folder / plan_file.FOLDER / f"{shard.name}.lock"
        attempts = claim.with_suffix(".attempts")
        with FileLock(claim):
            waiting = list(self._unsealed(request, shard))
            if waiting:
                self._count_attempt(attempts, shard)
                compute(self._store, request, waiting, self._engine, silent, self._shard_seconds)
            attempts.unlink(missing_ok=True)
            claim.unlink(missing_ok=True)  # a worker that waits for it, or makes it anew, finds the shard sealed

    def _count_attempt(self, path: Path, shard: PlannedShard) -> None:
        """Fail for a shard that kills every worker: Ray would give it to another worker for ever."""
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            before = len(file.readlines())
            if before == MOST_ATTEMPTS:
                raise OSError(
                    f"shard {shard.name} was given to {before} workers and all died of it: does it need more memory"
                    " than a worker has? what is sealed stays"
                )
            file.write(f"{socket.gethostname()} {os.getpid()}\n")

    def _unsealed(self, request: Request, shard: PlannedShard) -> Iterable[PlannedShard]:
        """The shard with the packs that no worker has sealed; nothing if all are sealed."""
        entries = manifest.read(self._folder / manifest.FILE, self._folder.name)
        if not any(is_part(entry.shard.stem, shard.name) for entry in entries):
            return [shard]  # as nearly always: the indexes of what other workers sealed need not be read
        self._store.refresh()
        keys = request.keys()
        return unsealed([shard], {key.tobytes() for key in keys[self._store.missing(keys)]})

    def _refuse_other_folder(self) -> None:
        if holder(self._folder) != self._run:
            planner = json.loads(self._run)
            raise UserError(
                f"a worker on {socket.gethostname()} does not find in {self._folder} what the run on"
                f" {planner['host']} wrote there: put store.root on a file system that all workers see"
            )


class _Notes(logging.Handler):
    """Collects warnings until they are taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(f"{socket.gethostname()}, process {record.process}: {record.getMessage()}")

    def take(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes
