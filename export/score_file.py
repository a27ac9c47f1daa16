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
from export.comparison import compare_each
from export.earlier_scores import (
    PREFERS,
    ROW,
    NumberedRow,
    earlier_lines,
    output_lease,
    pass_over,
    remove_rows,
    write_run_file,
)
from export.ends import STANDARD, Destination
from export.not_scorable import NotScorableError
from export.pair_rows import PairRow, annotated_pair, is_pair, read_pair_row
from export.results import FileScores
from export.reward_model import RewardModel
from export.rows import Row, annotated, joined, read_row
from export.score_ends import ends, rows_of
from export.score_table import write_table
from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.sources.pairing import SIDES
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

    A row without a score is written with `error`. Rows that an interrupted run has written, from the same input, model
    and settings, are not scored again; nor are those of a finished file of JSON lines.

    Args:
        model: the reward model.
        source: a file that extraction reads, with rows in the shapes of `export.rows` and `export.pair_rows`; or a
            pipe, or `-` for standard input, with JSON lines.
        out: JSON lines; `<out>.run.json` records the input, model and settings it was made with. What ends in .parquet
            or .csv is made of such a file beside it, `<out>.rows.jsonl`, once all rows are there. A pipe, a device, or
            `-` for standard output has JSON lines and no record, and an interrupted run begins anew.
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
    unfinished = None if destination.flows else rows_of(out)
    lines = out if unfinished is None else unfinished
    with nullcontext() if destination.flows else output_lease(out):
        done = [] if destination.flows else earlier_lines(lines, about)
        if not destination.flows:
            write_run_file(lines, about | {"complete": False})
        rows = enumerate(origin.rows(), start=1)
        bad_rows, preferred = pass_over(rows, done, source, lines, prefix)
        number, all_responses = len(done), 0
        with naming(lines), (destination if unfinished is None else Destination.of(unfinished)).open() as written:
            while batch := list(islice(rows, BATCH_ROWS)):
                for number, values, responses, verdict in _scored(model, batch, prefix, full, steering):
                    written.write(_line(values))
                    all_responses += responses
                    preferred.update(verdict)
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
            pairs=(pairs := preferred.total()),
            chosen_wins=preferred["chosen"],
            ties=preferred["tie"],
            accuracy=preferred["chosen"] / pairs if pairs else None,
            bad_rows=tuple(bad_rows[:NAMED_ROWS]),
            output=str(out),
            seconds=time.monotonic() - started,
        )
        if unfinished is not None:
            write_run_file(out, about | {"complete": False})
            write_table(unfinished, out)
        if not destination.flows:
            write_run_file(out, about | {"complete": True, "result": asdict(result)})
        if unfinished is not None:
            remove_rows(unfinished)
    return result


def _scored(
    model: RewardModel, batch: list[NumberedRow], prefix: str, full: bool, steering: Steering | None
) -> Iterator[tuple[int, dict[str, Any], int, tuple[str, ...]]]:
    """Yield each row's number, the row with its scores, the number of its scored responses, and a pair's verdict."""
    rows = [_read(given) for _, given in batch]
    conversations = (one for row in rows if isinstance(row, Row) for one in row.conversations)
    results = iter(model.score_each(conversations, steering))
    pairs = [row.conversations for row in rows if isinstance(row, PairRow)]
    compared = iter(compare_each(model, pairs, steering, SIDES) if pairs else ())
    for (number, _), row in zip(batch, rows, strict=True):
        if isinstance(row, NotScorableError):
            # A row that cannot be read, or written again, cannot be repeated: its number stands for it.
            yield number, {prefix + ROW: number, prefix + "error": str(row)}, 0, ()
            continue
        try:
            if isinstance(row, PairRow):
                values = annotated_pair(row, next(compared), model.objectives, prefix, full=full)
                yield number, values, len(SIDES), (values[prefix + PREFERS],)
            else:
                of_row = list(islice(results, len(row.conversations)))
                values = annotated(row, of_row, model.objectives, prefix, full=full)
                yield number, values, sum(isinstance(result, Scored) for result in of_row), ()
        except NotScorableError as reason:
            yield number, _with_error(row, str(reason), prefix, number), 0, ()


def _read(given: FileRow | Malformed) -> Row | PairRow | NotScorableError:
    if isinstance(given, Malformed):
        return NotScorableError(given.reason)
    try:
        return read_pair_row(given) if is_pair(given.values) else read_row(given.values)
    except NotScorableError as reason:
        return reason


def _with_error(row: Row | PairRow, reason: str, prefix: str, number: int) -> dict[str, Any]:
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
