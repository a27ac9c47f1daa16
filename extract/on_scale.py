"""The ratings of a response that a recipe can use: of its objectives, and on their scales."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from extract.records import RatedResponse, Record, Skipped

Range = tuple[float, float]
"""(lowest, highest) rating."""


def usable(records: Iterable[Record | Skipped], ranges: Mapping[str, Range]) -> Iterator[Record | Skipped]:
    """Yield records with only the recipe's objectives, and what is skipped with its reason.

    A rating off its scale is skipped by itself. A response without any other rating is skipped.

    Args:
        records: records and skipped rows of one data set.
        ranges: objective -> (lowest, highest) rating, for rating sets.
    """
    for record in records:
        if not isinstance(record, RatedResponse):
            yield record
            continue
        ratings = {}
        for objective, value in record.ratings.items():
            if objective not in ranges:
                continue
            low, high = ranges[objective]
            if low <= value <= high:
                ratings[objective] = value
            else:
                reason = f"the rating '{objective}' is {value:g}, outside {low:g} to {high:g}; it is skipped"
                yield Skipped(record.row, reason, rating_only=True)
        if ratings:
            yield record if len(ratings) == len(record.ratings) else replace(record, ratings=ratings)
        else:
            yield Skipped(record.row, "no rating of an objective of the recipe")
