"""Rows of another shape than a source reads: the columns seen, and the source for it where the shape is known."""

from dataclasses import dataclass

from extract.sources.source import BadRowError, Kind, RawRow


@dataclass(frozen=True, slots=True)
class KnownShape:
    """Columns by which a published shape is known."""

    columns: tuple[str, ...]
    kind: Kind
    source: str
    """The source that reads it."""
    more: str = ""
    """Another thing that the recipe needs, as the end of the sentence."""


DERIVE = "with 'label' as the column of an objective; its pairs follow with source = 'derived'"

KNOWN = (
    KnownShape(("prompt", "completion", "label"), "ratings", "multi_objective", DERIVE),
    KnownShape(("response_1", "response_2", "preference_strength"), "pairs", "helpsteer2_preference"),
    KnownShape(("context", "response1", "response2", "overall_preference"), "pairs", "helpsteer3"),
    KnownShape(("prompt", "answers"), "pairs", "nectar"),
    KnownShape(("response_0", "response_1", "better_response_id"), "pairs", "pku_safe_rlhf"),
    KnownShape(("history", "human_ref_A", "human_ref_B", "labels"), "pairs", "shp"),
    KnownShape(("orig_response_A", "orig_response_B", "orig_preference"), "pairs", "preference_collection"),
    KnownShape(("instruction", "completions"), "ratings", "ultrafeedback"),
    KnownShape(("prompt", "response", "helpfulness", "correctness"), "ratings", "helpsteer"),
    KnownShape(("prompt", "response", "is_safe"), "ratings", "beavertails"),
    KnownShape(("question", "response_A", "response_B", "label"), "suite", "judge_bench"),
    KnownShape(("chosen", "rejected"), "pairs", "preference"),
)

TABLES = {"ratings": "[[ratings]]", "pairs": "[[pairs]]", "suite": "[[suites]]"}


def other_shape(row: RawRow, source: str, fault: str) -> BadRowError:
    """The refusal of a row that lacks the columns of a source.

    Args:
        row: the row.
        source: the source that cannot read it.
        fault: what is missing.
    """
    fault = f"{fault}; {row.seen()}"
    for shape in KNOWN:
        if shape.source != source and set(shape.columns) <= set(row.columns or row.values):
            use = f"use source = '{shape.source}' in {TABLES[shape.kind]}"
            return BadRowError(f"{fault}: {use}{' ' if shape.more else ''}{shape.more}")
    return BadRowError(fault)
