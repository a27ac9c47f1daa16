"""Filters of the report's templates: numbers as a page sets them, and coordinates of marks."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from evaluation import numbers
from evaluation.numbers import Number, undefined

Arguments = ParamSpec("Arguments")

UNDEFINED = "–"


def _typeset(write: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """A filter that writes the number with a true minus, and a missing one as a dash."""

    @wraps(write)
    def typeset(*arguments: Arguments.args, **more: Arguments.kwargs) -> str:
        written = write(*arguments, **more)
        return UNDEFINED if written == numbers.UNDEFINED else written.replace("-", "−")

    return typeset


number = _typeset(numbers.number)
signed = _typeset(numbers.signed)
percent = _typeset(numbers.percent)
probability = _typeset(numbers.probability)
count = _typeset(numbers.count)
plain = _typeset(numbers.plain)


def fraction(value: float) -> str:
    """A part of the rows as a fraction, such as 1/8."""
    return f"1/{round(1 / value)}"


def along(value: float) -> str:
    """A number of 0 to 1 as a coordinate in a mark."""
    return f"{100 * min(1.0, max(0.0, value)):.2f}%"


def both_sides(value: float) -> str:
    """A number of -1 to 1 as a coordinate in a mark."""
    return along((value + 1) / 2)


def part_of(value: Number, most: float) -> str:
    """Darkness of a cell, from 0 to 1."""
    return "0" if undefined(value) or most <= 0 else f"{min(1.0, max(0.0, float(value or 0.0) / most)):.3f}"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "signed": signed,
    "percent": percent,
    "probability": probability,
    "count": count,
    "plain": plain,
    "fraction": fraction,
    "along": along,
    "both_sides": both_sides,
    "part_of": part_of,
}
"""Name in the templates -> filter."""
