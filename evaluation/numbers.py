"""Numbers written for people, in tables of the terminal, of Markdown and of the report."""

Number = float | int | None

UNDEFINED = "-"
"""Stands for None and NaN."""


def undefined(value: Number) -> bool:
    """Whether there is no number: None, as in JSON, or NaN."""
    return value is None or value != value


def number(value: Number, digits: int = 3) -> str:
    """A number with `digits` digits after the point and commas between thousands."""
    return UNDEFINED if undefined(value) else f"{value:,.{digits}f}"


def signed(value: Number, digits: int = 3) -> str:
    """A number with its sign; one that rounds to 0 has none."""
    if undefined(value):
        return UNDEFINED
    written = f"{value:+,.{digits}f}"
    return written if written.strip("+-0.,") else written[1:]


def percent(fraction: Number, digits: int = 1) -> str:
    """A fraction of 0 to 1 in per cent, without the sign %."""
    return UNDEFINED if fraction is None else number(100 * fraction, digits)


def probability(p: Number) -> str:
    """A p-value, which is never 0."""
    return "< 0.001" if p is not None and p < 0.001 else number(p, 3)


def count(value: Number) -> str:
    """A whole number with commas between thousands."""
    return number(value, 0)


def plain(value: Number) -> str:
    """A number with as many digits as it was given with, such as a penalty from a list."""
    return UNDEFINED if undefined(value) else f"{value:,.12g}"
