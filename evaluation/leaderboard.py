"""One table of everything that judged a suite: rules and scorers, the highest score first, then published rows."""

from collections.abc import Iterable, Mapping, Sequence

from evaluation.numbers import percent
from evaluation.published import PublishedRow
from evaluation.results import Entry, RuleScore
from evaluation.suites.reward_bench import SECTIONS


def leaderboard(
    rules: Mapping[str, RuleScore],
    names: Mapping[str, tuple[str, str]],
    scorers: Mapping[str, str],
    published: Sequence[PublishedRow] = (),
) -> list[Entry]:
    """Entries, the highest score first; published ones after all others, since they judged other rows or all rows.

    Args:
        rules: rule or scorer -> its table of the suite.
        names: rule -> its title in tables and its method.
        scorers: scorer -> its method.
        published: rows of the suite's published table.
    """
    judged = sorted(rules.items(), key=lambda rule: -rule[1].score)
    entries = [
        Entry(
            rank=rank,
            name=name,
            model=name if name in scorers else names.get(name, (name, ""))[0],
            method=scorers[name] if name in scorers else names.get(name, (name, ""))[1],
            kind="scorer" if name in scorers else "rule",
            score=scored.score,
            low=scored.score_low,
            high=scored.score_high,
            sections=scored.sections,
            skipped=scored.skipped,
        )
        for rank, (name, scored) in enumerate(judged, start=1)
    ]
    return entries + [
        Entry(
            rank=0,
            name=row.model,
            model=row.model,
            method=row.method,
            kind="published",
            score=row.score / 100,
            low=None,
            high=None,
            sections={name: value / 100 for name, value in zip(SECTIONS, row.sections, strict=True)},
            skipped=0,
        )
        for row in sorted(published, key=lambda row: -row.score)
    ]


def columns_of(entries: Iterable[Entry]) -> list[str]:
    """The sections that any entry has, in the order of their first appearance."""
    return list(dict.fromkeys(section for entry in entries for section in entry.sections))


def lines_of(entries: Sequence[Entry]) -> list[list[str]]:
    """The table's cells in per cent, under rank, model, method, score, 95 % interval and the sections."""
    sections = columns_of(entries)
    return [
        [
            str(entry.rank) if entry.rank else "",
            _model(entry),
            entry.method,
            percent(entry.score),
            "" if entry.low is None else f"{percent(entry.low)} to {percent(entry.high)}",
            *(percent(entry.sections.get(section)) for section in sections),
        ]
        for entry in entries
    ]


def markdown(title: str, notes: Sequence[str], entries: Sequence[Entry]) -> str:
    """The table as Markdown with a heading; markup in names and notes is escaped."""
    heading = ["", "model", "method", "score", "95 % interval", *columns_of(entries)]
    lines = [f"## {_escaped(title)}", "", *(f"{_escaped(note)}\n" for note in notes)]
    lines += [_line(heading), "|" + "---|" * len(heading), *map(_line, lines_of(entries))]
    return "\n".join(lines) + "\n"


def _model(entry: Entry) -> str:
    if entry.kind == "published":
        return f"published: {entry.model}"
    return entry.model + (f" (without {entry.skipped:,} rows)" if entry.skipped else "")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    one_line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\|`*_<>[]#" else character for character in one_line)
