"""A row that cannot be read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """Takes the place of a row that cannot be read, so that the rows after it keep their numbers."""

    reason: str
