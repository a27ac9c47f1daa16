"""A suite's results as the tables of a report."""

from collections import Counter
from dataclasses import dataclass

from evaluation.published import PUBLISHED, PublishedRow
from evaluation.results import MissingRow, RuleScore, Suite
from evaluation.rule_names import RULE_NAMES
from evaluation.suites import SUITES, reward_bench

BESIDE = ("uniform", "bradley_terry", "length")
"""Rules whose subsets stand beside the gate's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule, scorer or published model."""

    title: str
    method: str
    score: float
    low: float | None
    high: float | None
    sections: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One subset or column of a further table, by the gate and by the rules beside it."""

    name: str
    rows: int | None
    value: float | None
    low: float | None
    high: float | None
    others: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class SuiteTables:
    """One suite."""

    name: str
    title: str
    lead: str
    """Sentences about its rows and how they count."""
    sections: tuple[str, ...]
    rows: tuple[Row, ...]
    published: tuple[Row, ...]
    other_rules: tuple[str, ...]
    """Titles of the rules beside the gate."""
    subsets: tuple[Line, ...]
    further: dict[str, tuple[Line, ...]]
    """The suite's further tables: title -> lines."""
    missing: tuple[MissingRow, ...]


@dataclass(frozen=True, slots=True)
class GateWeights:
    """One objective in the heat map of a suite."""

    objective: str
    percents: tuple[float, ...]
    """Its mean part of the gate's weight, in per cent, one a section."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The gate's mean weights by objective and section."""

    title: str
    sections: tuple[str, ...]
    rows: tuple[GateWeights, ...]
    """The largest mean over the sections first."""
    most: float
    """The largest cell, in per cent."""
    entropy: tuple[float, ...]
    top_share: tuple[float, ...]


def suite_tables(name: str, result: Suite) -> SuiteTables:
    """The tables of a suite; the gate comes first, for the run was made for it."""
    rules = result.rules
    ordered = ["gate", *(rule for rule in rules if rule != "gate")]
    known = SUITES[name].sections if name in SUITES else ()
    sections = tuple(dict.fromkeys((*known, *(section for rule in ordered for section in rules[rule].sections))))
    beside = [rule for rule in BESIDE if rule in rules]
    gate = rules["gate"]
    subsets = tuple(
        Line(
            subset,
            judged.rows,
            judged.accuracy,
            judged.low,
            judged.high,
            tuple(rules[rule].subsets[subset].accuracy if subset in rules[rule].subsets else None for rule in beside),
        )
        for subset, judged in gate.subsets.items()
    )
    further = {
        title: tuple(
            Line(
                column,
                None,
                figure.value,
                figure.low,
                figure.high,
                tuple(rules[rule].extra[title][column].value for rule in beside),
            )
            for column, figure in figures.items()
        )
        for title, figures in gate.extra.items()
    }
    return SuiteTables(
        name,
        result.title,
        _lead(name, result),
        sections,
        tuple(_row(rule, rules[rule], sections) for rule in ordered),
        tuple(_published(row, sections) for row in PUBLISHED) if name == "rewardbench" else (),
        tuple(RULE_NAMES[rule][0] for rule in beside),
        subsets,
        further,
        result.missing_rows,
    )


def coefficients(result: Suite) -> Coefficients:
    """The heat map of a suite, objectives ordered by their mean over its sections."""
    by_section = result.gate_by_section
    sections = tuple(by_section)
    percents = {
        objective: tuple(100 * by_section[section][objective] for section in sections)
        for objective in next(iter(by_section.values()), {})
    }
    ordered = sorted(percents, key=lambda objective: -sum(percents[objective]))
    summaries = [result.gate_summary_by_section[section] for section in sections]
    return Coefficients(
        result.title,
        sections,
        tuple(GateWeights(objective, percents[objective]) for objective in ordered),
        max((value for values in percents.values() for value in values), default=0.0),
        tuple(summary.entropy for summary in summaries),
        tuple(summary.top_share for summary in summaries),
    )


def _row(rule: str, scored: RuleScore, sections: tuple[str, ...]) -> Row:
    title, method = RULE_NAMES.get(rule, (rule, ""))
    if scored.skipped:  # another scorer, which had no answer for some rows
        method = f"without {scored.skipped:,} rows"
    figures = tuple(map(scored.sections.get, sections))
    return Row(title, method, scored.score, scored.score_low, scored.score_high, figures)


def _published(row: PublishedRow, sections: tuple[str, ...]) -> Row:
    """A published row under the names of its own sections, whichever of them the run has."""
    figures = {name: value / 100 for name, value in zip(reward_bench.SECTIONS, row.sections, strict=True)}
    return Row(row.model, row.method, row.score / 100, None, None, tuple(map(figures.get, sections)))


def _lead(name: str, result: Suite) -> str:
    lead = f"{result.rows:,} rows."
    if result.missing:
        lead += f" {result.missing:,} more could not be judged, count neither way, and are named below."
    missing = result.rules["gate"].missing_subsets
    if missing:
        lead += f" {len(missing)} of the suite's subsets have no row here ({', '.join(missing)})."
    if name == "rewardbench":
        lead += f" RewardBench itself has {reward_bench.ROWS:,} without its prior sets."
    shared: Counter[str] = Counter()  # training set -> rows of the suite, over all data sets that make the suite up
    for sets in result.overlap.values():
        shared.update({training_set: counts.suite_rows for training_set, counts in sets.items()})
    if +shared:
        by_set = ", ".join(f"{training_set} {rows:,}" for training_set, rows in (+shared).items())
        lead += f" Overlap: rows whose prompt also stands in a training set: {by_set}."
    return f"{lead} {SUITES[name].caption}" if name in SUITES else lead
