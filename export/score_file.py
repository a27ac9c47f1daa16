"""Scoring a JSONL file: rows are scored batch by batch, and an interrupted run goes on where it stopped."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from cache import UserError
from cache.durable import naming, write_text
from cache.progress import Progress
from export.ends import STANDARD, Destination, Source, check_apart
from export.not_scorable import NotScorableError
from export.results import FileScores, ResponseScore
from export.reward_model import RewardModel
from export.rows import Row, annotated, decomposition, joined, read_row
from extract.records import Message
from gating.reward import Scored

log = logging.getLogger(__name__)

BATCH_ROWS = 256
"""Rows scored together and then made durable: enough to fill packs, and little to lose at an interruption."""

NAMED_ROWS = 5
"""Number of rows without a score that are named on the terminal; the output holds the reason for each."""


def score_file(
    model: RewardModel, source: Path, out: Path, *, prefix: str, full: bool, progress: Progress
) -> FileScores:
    """Score every row of `source` into `out`, in order, one line for each.

    A row without a score is written with `error`. Rows that `out` holds already, from the same input, model and
    settings, are not scored again.

    Args:
        model: the reward model.
        source: JSONL, in the shapes of `export.rows`; may be a pipe, or `-` for standard input.
        out: JSONL; `<out>.run.json` records the input, model and settings it was made with. A pipe, a device, or `-`
            for standard output has no such file, and an interrupted run begins anew.
        prefix: prefix of the keys that are added to a row.
        full: whether rewards, weights and contributions are added too.
        progress: receives the number of rows done.

    Raises:
        UserError: the input is missing, or `out` was made from another input, model or settings.
    """
    started = time.monotonic()
    origin, destination = ends(source, out)
    about = _about(model, source, prefix, full)
    done, bad_rows = ([], []) if destination.flows else _resumed(out, about, prefix)
    rows, all_responses = len(done), 0
    if not destination.flows:
        _write_run_file(out, about | {"complete": False})
    with naming(source), origin.open() as file, naming(out), destination.open() as written:
        lines = enumerate(file, start=1)
        _skip(lines, done, source, out, prefix)
        while batch := list(islice(((number, line) for number, line in lines if line.strip()), BATCH_ROWS)):
            for number, values, responses in _scored(model, batch, prefix, full):
                written.write(_line(values))
                rows += 1
                all_responses += responses
                if not responses:
                    bad_rows.append(number)
                    if len(bad_rows) <= NAMED_ROWS:
                        log.warning("not scored: %s, line %s: %s", source, number, values[prefix + "error"])
            written.flush()
            if not destination.flows:
                os.fsync(written.fileno())
            progress("scoring", rows, None, "rows")
    progress("scoring", rows, rows, "rows")
    result = FileScores(
        rows=rows,
        scored=rows - len(bad_rows),
        bad=len(bad_rows),
        reused=len(done),
        responses=all_responses,
        bad_rows=tuple(bad_rows[:NAMED_ROWS]),
        output=str(out),
        seconds=time.monotonic() - started,
    )
    if not destination.flows:
        _write_run_file(out, about | {"complete": True, "result": asdict(result)})
    return result


def ends(source: Path, out: Path) -> tuple[Source, Destination]:
    """Where rows come from and go to, checked before a model is loaded for them.

    Raises:
        UserError: rows cannot be read or written there, or `out` is a file that somebody else wrote.
    """
    origin, destination = Source.of(source), Destination.of(out)
    check_apart(origin, destination)
    if destination.state is not None and destination.state.st_size > 0 and not destination.flows:
        _check_own(out)
    return origin, destination


def score_one(model: RewardModel, prompt: str, response: str, *, full: bool) -> ResponseScore:
    """Score one conversation of one turn.

    Raises:
        UserError: it cannot be scored.
    """
    (scored,) = model.score([[Message("user", prompt), Message("assistant", response)]])
    by_objective = decomposition(scored, model.objectives) if full else {}
    return ResponseScore(prompt=prompt, response=response, score=scored.score, tokens=scored.tokens, **by_objective)


def _scored(
    model: RewardModel, batch: list[tuple[int, bytes]], prefix: str, full: bool
) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Yield each row's line number, the row with its scores, and the number of its responses that were scored."""
    rows: list[Row | NotScorableError] = []
    for _, line in batch:
        try:
            rows.append(read_row(line))
        except NotScorableError as reason:
            rows.append(reason)
    results = iter(model.score_each(one for row in rows if isinstance(row, Row) for one in row.conversations))
    for (number, _), row in zip(batch, rows, strict=True):
        if isinstance(row, NotScorableError):
            # A line that cannot be read cannot be repeated as an object either: its number stands for it.
            yield number, {prefix + "line": number, prefix + "error": str(row)}, 0
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
        return {prefix + "line": number, prefix + "error": reason}


def _about(model: RewardModel, source: Path, prefix: str, full: bool) -> dict[str, Any]:
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
    }


def _run_file(out: Path) -> Path:
    return out.with_name(out.name + ".run.json")


def _write_run_file(out: Path, value: dict[str, Any]) -> None:
    write_text(_run_file(out), json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _read_run_file(out: Path) -> dict[str, Any]:
    path = _run_file(out)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): name another --output, or remove {out}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold an object: name another --output, or remove {out}")
    return value


def _check_own(out: Path) -> None:
    if not _run_file(out).exists():
        raise UserError(f"{out} is there and was not written by `armorm score`: name another --output, or remove it")


def _resumed(out: Path, about: dict[str, Any], prefix: str) -> tuple[list[bytes], list[int]]:
    """Lines that `out` holds already, and the numbers of those without a score; a torn last line is cut off."""
    if not out.exists() or out.stat().st_size == 0:
        return [], []
    _check_own(out)
    earlier = _read_run_file(out)
    changed = [key for key, value in about.items() if earlier.get(key) != value]
    if changed:
        raise UserError(
            f"{out} was made with another {changed[0].replace('_', ' ')}: name another --output, or remove it"
        )
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(out, len(whole))
    lines = whole.splitlines()
    bad = [number for number, line in enumerate(lines, start=1) if prefix + "error" in json.loads(line)]
    return lines, bad


def _skip(lines: Iterator[tuple[int, bytes]], done: list[bytes], source: Path, out: Path, prefix: str) -> None:
    """Pass over the rows that `out` holds, after checking that they are the same."""
    for line in done:
        number, row = next(((number, row) for number, row in lines if row.strip()), (0, b""))
        written = json.loads(line)
        try:
            values = read_row(row).values if row else None
        except NotScorableError:
            continue  # only its number stands in `out`
        if prefix + "line" in written:
            continue  # its own `error` kept it from being repeated
        if values is None or any(key not in written or written[key] != value for key, value in values.items()):
            raise UserError(
                f"{source} has changed since {out} was begun (line {number}): name another --output, or remove it"
            )


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
