"""Lists of names in sentences."""

from collections.abc import Iterable

MOST = 5
"""Most names that a sentence lists; it counts the others."""


def listed(names: Iterable[str]) -> str:
    """The names in words: 'a', 'a and b', 'a, b, c, d, e and 3 more'; empty where there is none."""
    every = list(names)
    shown = every[:MOST] if len(every) <= MOST else [*every[:MOST], f"{len(every) - MOST} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
