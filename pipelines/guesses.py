"""Guesses about a user's files: objectives and scales of rated rows, columns of pairs."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from cache import UserError
from extract.files.malformed import Malformed
from extract.files.rows import read_rows
from extract.records import PreferencePair, Prompt, RatedResponse, Skipped
from extract.sources import SOURCES
from extract.sources.reader import read
from extract.sources.source import BadRowError, rating

ROWS = 5000
"""Rows of a file that are looked at."""

SCALES = ((0, 1), (0, 4), (1, 5), (0, 5), (1, 7), (0, 10), (1, 10), (0, 100), (1, 100), (-1, 1))
"""Scales that people rate on."""

NO_RATING = re.compile(r"(^|_|\b)(id|idx|index|row|rank|turn|split|length|tokens|seed|year|timestamp)$", re.IGNORECASE)
"""Names of columns whose numbers are no ratings."""

ELSEWHERE = {
    "prompt": ("query", "user", "input_text", "context", "problem"),
    "chosen": ("better", "winner", "win", "preferred", "accepted", "good", "positive", "response_chosen", "best"),
    "rejected": ("worse", "loser", "lose", "dispreferred", "declined", "bad", "negative", "response_rejected", "worst"),
}
"""Column that the source 'preference' reads -> other names that files have for it."""


@dataclass(frozen=True, slots=True)
class GuessedObjective:
    """A column of numbers, taken for ratings."""

    name: str
    ratings: int
    lowest: float
    highest: float
    low: float
    """Lowest rating of the scale that is guessed."""
    high: float
    whole: bool
    """Whether all ratings are whole numbers."""


@dataclass(frozen=True, slots=True)
class RatedFile:
    """A file of rated responses."""

    path: Path
    rows: int
    prompts: int
    """Different prompts."""
    several: bool
    """Whether some prompt has more than one response, so that pairs can be derived."""
    objectives: tuple[GuessedObjective, ...]
    left_out: tuple[str, ...]
    """Columns that are no ratings, each with the reason."""


@dataclass(frozen=True, slots=True)
class PairFile:
    """A file of preferences, for pairs or for a suite."""

    path: Path
    rows: int
    columns: dict[str, str] = field(default_factory=dict)
    """Column that the source reads -> the file's name for it, where that is another."""
    form: str = ""
    """How the rows are written."""


def number_of_rows(rows: int) -> str:
    """A number of rows in words: of a large file only the first are looked at."""
    return f"the first {rows:,} rows" if rows >= ROWS else f"{rows:,} rows"


@dataclass(frozen=True, slots=True)
class NewRecipe:
    """The result of `armorm new`."""

    recipe: Path
    ratings: tuple[RatedFile, ...]
    pairs: tuple[PairFile, ...]
    suites: tuple[PairFile, ...]


def rated_file(path: Path) -> RatedFile:
    """Guess the objectives of a file of rated responses.

    Raises:
        UserError: the file cannot be read, has no column of ratings, or no row with a prompt and a response.
    """
    source = SOURCES["multi_objective"]
    numbers, reasons = _columns_of_numbers(path, source.columns)
    if not numbers:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise UserError(f"{path} has no column of ratings{why}: give it one column of numbers for each objective")
    made = list(islice(read(source, [path], path.parent, {name: name for name in numbers}), ROWS))
    records = [record for record in made if isinstance(record, RatedResponse)]
    if not records:
        raise _unusable(path, made)
    responses: Counter[Prompt] = Counter(record.prompt for record in records)
    objectives = tuple(_objective(name, values) for name, values in numbers.items())
    return RatedFile(path, len(records), len(responses), max(responses.values()) > 1, objectives, tuple(reasons))


def prompts_of(rated: RatedFile) -> set[Prompt]:
    """The different prompts of a file of rated responses."""
    columns = {objective.name: objective.name for objective in rated.objectives}
    made = islice(read(SOURCES["multi_objective"], [rated.path], rated.path.parent, columns), ROWS)
    return {record.prompt for record in made if isinstance(record, RatedResponse)}


def pair_file(path: Path, source_name: str = "preference") -> PairFile:
    """Guess the columns of a file of preferences.

    Args:
        path: the file.
        source_name: 'preference', or 'preference_suite'.

    Raises:
        UserError: the file cannot be read, or no row is a preference under any name that is known.
    """
    for columns in _namings(path):
        made = list(islice(read(SOURCES[source_name], [path], path.parent, columns), ROWS))
        usable = [record for record in made if not isinstance(record, Skipped)]
        if usable:
            form = usable[0].form if isinstance(usable[0], PreferencePair) else ""
            return PairFile(path, len(usable), dict(columns), form)
    raise _unusable(path, made)


def _namings(path: Path) -> Iterator[Mapping[str, str]]:
    """The file's own names, then those that stand for the source's."""
    yield {}
    rows = (row for row in read_rows(path) if not isinstance(row, Malformed))
    first = next(rows, None)
    there = {} if first is None else {name.lower(): name for name in first.values}
    found = {
        column: next((there[name] for name in (column, *others) if name in there), None)
        for column, others in ELSEWHERE.items()
    }
    if found["chosen"] is not None and found["rejected"] is not None:
        yield {column: name for column, name in found.items() if name is not None and name != column}


def _unusable(path: Path, made: list[Any]) -> UserError:
    skipped = next((one.reason for one in made if isinstance(one, Skipped)), "it has no rows")
    return UserError(
        f"no row of {path} can be used ({skipped}): see 'What your files may look like' in docs/extraction.md"
    )


def _columns_of_numbers(path: Path, texts: tuple[str, ...]) -> tuple[dict[str, list[float]], list[str]]:
    """Column -> its ratings, for columns in which every value is one or is missing; and why others are left out."""
    numbers: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    for row in islice(read_rows(path), ROWS):
        if isinstance(row, Malformed):
            continue
        for name, value in row.values.items():
            if name in texts or name in reasons:
                continue
            if NO_RATING.search(name):
                reasons[name] = "its name is that of a number or of a place"
                continue
            try:
                found = rating(value, "it")
            except BadRowError as reason:
                reasons[name] = str(reason)
                numbers.pop(name, None)
                continue
            values = numbers.setdefault(name, [])
            if found is not None:
                values.append(found)
    for name, values in list(numbers.items()):
        if len(set(values)) < 2:
            reasons[name] = "its ratings do not differ"
            del numbers[name]
    return numbers, [f"column {name!r}: {reason}" for name, reason in reasons.items()]


def _objective(name: str, values: list[float]) -> GuessedObjective:
    lowest, highest = min(values), max(values)
    whole = all(value == int(value) for value in values)
    low, high = usual_scale(lowest, highest)
    return GuessedObjective(name, len(values), lowest, highest, low, high, whole)


def usual_scale(lowest: float, highest: float) -> tuple[float, float]:
    """The narrowest usual scale around some ratings, of two the one whose end they reach; else whole numbers around."""
    around = [(low, high) for low, high in SCALES if low <= lowest and highest <= high]
    if not around:
        return math.floor(lowest), math.ceil(highest)
    return min(around, key=lambda scale: (scale[1] - scale[0], scale[0] != lowest, scale[1] != highest))
