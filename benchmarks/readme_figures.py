"""The performance figures of README.md, each with the JSON of the run that it comes from.

A test compares them, and another finds figures that are in neither list here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs_kept import RUNS, runs_of
from cache import UserError

Step = str | int | dict[str, Any]
"""A key; a number in a list; or the values by which one entry of a list is selected."""

WORDS = "half|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|sixty|hundred"
UNITS = (
    r"(?:times(?: as)?\b|×|(?:milli|micro)?seconds?\b|minutes?\b|hours?\b|[mµ]?s\b"
    r"|[TG]FLOP/s|[MG]B/s|[MG]B of memory\b"
    r"|(?:\w+ )?(?:tokens|rows|requests|sequences|conversations|responses|pairs) (?:a|per) (?:second|minute|hour)\b)"
)
FIGURE = re.compile(rf"(?:\b\d[\d,.]* ?|\b(?:{WORDS}) ){UNITS}", re.IGNORECASE)
"""A number, in digits or as a word, with a unit of performance."""


@dataclass(frozen=True)
class Figure:
    """A figure of the README.

    Args:
        text: the README's words, with `{}` for the figure.
        json: name of the JSON files that have it; the newest run counts.
        path: where it lies in one.
        shown: how the README writes it, from the value; the rounding is here.
    """

    text: str
    json: str
    path: tuple[Step, ...]
    shown: Callable[[float], str]


def thousands(value: float) -> str:
    """A rate to two digits: 40405 -> '40,000'."""
    return f"{float(f'{value:.2g}'):,.0f}"


def half_minutes(seconds: float) -> str:
    """Seconds to the nearest half minute, in words: 84 -> 'a minute and a half'."""
    halves = max(1, round(seconds / 30))
    names = {1: "half a minute", 2: "a minute", 3: "a minute and a half", 4: "two minutes", 5: "two minutes and a half"}
    return names.get(halves, f"{halves / 2:g} minutes")


FIGURES = (
    Figure("`make demo` takes about {} after installation", "demo", ("seconds",), half_minutes),
    Figure(
        "ran at {} unique tokens a second on one H100",
        "gpu",
        ("lines", {"stage": "end-to-end", "way": "end to end"}, "unique_tokens_per_second"),
        thousands,
    ),
)

EXCEPTIONS = {
    "from a spreadsheet to a served model, in ten minutes": "a reader's time with a page, not a program's",
    "about an hour: SmolLM2-135M-Instruct": "its rows come from the hub; `make check` estimates it on each machine",
    "at small sizes in about eleven minutes": "the expected times in benchmarks/all.py, which a test adds up",
    "`make check` takes less than a minute": "most of it is waiting for the hub",
}
"""The README's words with a figure that no benchmark measures -> the reason."""


def at(report: Any, path: tuple[Step, ...]) -> float:
    """The value at a path of a report.

    Raises:
        UserError: nothing, or more than one entry of a list, is there.
    """
    value = report
    for step in path:
        if isinstance(step, dict):
            found = [entry for entry in value if step.items() <= entry.items()]
            if len(found) != 1:
                raise UserError(f"{len(found)} entries have {step}, where one is needed: change the path {path}")
            value = found[0]
        else:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                raise UserError(f"nothing is at {step!r} of the path {path}: change the path") from None
    return float(value)


def words_of(figure: Figure, runs: Path = RUNS) -> str | None:
    """The README's words with the figure of the newest run; None if no run is kept."""
    kept = runs_of(figure.json, runs)
    return figure.text.format(figure.shown(at(kept[0].report, figure.path))) if kept else None


def unlisted(readme: str) -> list[str]:
    """Figures of performance that neither list has, each with the words around it.

    Args:
        readme: text of the README.
    """
    text = " ".join(readme.split())
    known = [re.escape(words) for words in EXCEPTIONS]
    known += [".{1,40}?".join(map(re.escape, figure.text.split("{}"))) for figure in FIGURES]
    covered = [match.span() for words in known for match in re.finditer(words, text)]
    return [
        text[max(0, match.start() - 40) : match.end() + 20]
        for match in FIGURE.finditer(text)
        if not any(begin <= match.start() and match.end() <= end for begin, end in covered)
    ]
