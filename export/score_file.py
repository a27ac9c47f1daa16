"""Scoring a file of rows: they are scored batch by batch, and an interrupted run goes on where it stopped."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from cache.durable import naming
from cache.progress import Progress
from export.earlier_scores import (
    ROW,
    NumberedRow,
    check_own,
    earlier_lines,
    output_lease,
    pass_over,
    write_run_file,
)
from export.ends import STANDARD, Destination, Source, check_apart
from export.not_scorable import NotScorableError
from export.results import FileScores
from export.reward_model import RewardModel
from export.rows import Row, annotated, joined, read_row
from extract.files.malformed import Malformed
from gating.reward import Scored
from gating.steering import Steering

log = logging.getLogger(__name__)

BATCH_ROWS = 256
"""Rows scored together and then made durable: enough to fill packs, and little to lose at an interruption."""

NAMED_ROWS = 5
"""Number of rows without a score that are named on the terminal; the output holds the reason for each."""


def score_file(
    model: RewardModel,
    source: Path,
    out: Path,
    *,
    prefix: str,
    full: bool,
    progress: Progress,
    steering: Steering | None = None,
) -> FileScores:
    """Score every row of `source` into `out`, in order, one line for each.

    A row without a score is written with `error`. Rows that `out` holds already, from the same input, model and
    settings, are not scored again.

    Args:
        model: the reward model.
        source: a file that extraction reads, with rows in the shapes of `export.rows`; or a pipe, or `-` for standard
            input, with JSON lines.
        out: JSONL; `<out>.run.json` records the input, model and settings it was made with. A pipe, a device, or `-`
            for standard output has no such file, and an interrupted run begins anew.
        prefix: prefix of the keys that are added to a row.
        full: whether rewards, weights, contributions and the uncertainty are added too.
        progress: receives the number of rows done.
        steering: a profile bound to the model; None: the gate's own weights.

    Raises:
        UserError: the input is missing, damaged or holds no rows, `out` was made from another input, model or settings,
            or another process writes to it.
    """
    started = time.monotonic()
    origin, destination = ends(source, out)
    about = _about(model, source, prefix, full, steering)
    with nullcontext() if destination.flows else output_lease(out):
        done = [] if destination.flows else earlier_lines(out, about)
        if not destination.flows:
            write_run_file(out, about | {"complete": False})
        rows = enumerate(origin.rows(), start=1)
        bad_rows = pass_over(rows, done, source, out, prefix)
        number, all_responses = len(done), 0
        with naming(out), destination.open() as written:
            while batch := list(islice(rows, BATCH_ROWS)):
                for number, values, responses in _scored(model, batch, prefix, full, steering):
                    written.write(_line(values))
                    all_responses += responses
                    if not responses:
                        bad_rows.append(number)
                        if len(bad_rows) <= NAMED_ROWS:
                            log.warning("not scored: %s, row %s: %s", source, number, values[prefix + "error"])
                written.flush()
                if not destination.flows:
                    os.fsync(written.fileno())
                progress("scoring", number, None, "rows")
        progress("scoring", number, number, "rows")
        result = FileScores(
            rows=number,
            scored=number - len(bad_rows),
            bad=len(bad_rows),
            reused=len(done),
            responses=all_responses,
            bad_rows=tuple(bad_rows[:NAMED_ROWS]),
            output=str(out),
            seconds=time.monotonic() - started,
        )
        if not destination.flows:
            write_run_file(out, about | {"complete": True, "result": asdict(result)})
    return result


def ends(source: Path, out: Path) -> tuple[Source, Destination]:
    """Where rows come from and go to, checked before a model is loaded for them.

    Raises:
        UserError: rows cannot be read or written there, `out` is a file that somebody else wrote, or another process
            writes to it.
    """
    origin, destination = Source.of(source), Destination.of(out)
    check_apart(origin, destination)
    if destination.flows:
        return origin, destination
    if destination.state is not None and destination.state.st_size > 0:
        check_own(out)
    with output_lease(out):
        return origin, destination


def _scored(
    model: RewardModel, batch: list[NumberedRow], prefix: str, full: bool, steering: Steering | None
) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield each row's number, the row with its scores, and the number of its responses that were scored."""
    rows: list[Row | NotScorableError] = []
    for _, given in batch:
        try:
            rows.append(NotScorableError(given.reason) if isinstance(given, Malformed) else read_row(given.values))
        except NotScorableError as reason:
            rows.append(reason)
    conversations = (one for row in rows if isinstance(row, Row) for one in row.conversations)
    results = iter(model.score_each(conversations, steering))
    for (number, _), row in zip(batch, rows, strict=True):
        if isinstance(row, NotScorableError):
            # A row that cannot be read, or written again, cannot be repeated: its number stands for it.
            yield number, {prefix + ROW: number, prefix + "error": str(row)}, 0
            continue
        of_row = list(islice(results, len(row.conversations)))
        try:
            values = annotated(row, of_row, model.objectives, prefix, full=full)
            yield number, values, sum(isinstance(result, Scored) for result in of_row)
        except NotScorableError as reason:
            yield number, _with_error(row, str(reason), prefix, number), 0


def _with_error(row: Row, reason: str, prefix: str, number: int) -> dict[str, Any]:
    try:
        return joined(row.values, {"error": reason}, prefix)
    except NotScorableError:  # the row has an `error` of its own
        return {prefix + ROW: number, prefix + "error": reason}


def _about(model: RewardModel, source: Path, prefix: str, full: bool, steering: Steering | None) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in sorted(model.folder.glob("*.json")):
        digest.update(path.read_bytes())
    for array in model.parts.arrays():
        digest.update(array.tobytes())
    return {
        "model": str(model.folder.resolve()),
        "model_digest": digest.hexdigest(),
        "input": str(source) if source == STANDARD else str(source.resolve()),
        "prefix": prefix,
        "full": full,
        "max_tokens": model.max_tokens,
        "profile": None if steering is None else steering.profile.model_dump(mode="json"),
    }


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
