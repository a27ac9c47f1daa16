"""Findings of a check: problems, which stop a run, and warnings."""

from collections.abc import Iterable
from dataclasses import dataclass

from cache import UserError


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence with its remedy."""

    subject: str
    """The data set, or `backbone`."""
    sentence: str
    stops: bool
    """Whether it stops a run, or is a warning."""

    @property
    def line(self) -> str:
        """The sentence with its subject in front, unless it begins with that."""
        return self.sentence if self.sentence.startswith(self.subject) else f"{self.subject}: {self.sentence}"


def refuse(findings: Iterable[Finding]) -> None:
    """Raise all problems at once.

    Raises:
        UserError: there is a problem; each has a line of its own.
    """
    sentences = [one.line for one in findings if one.stops]
    if len(sentences) == 1:
        raise UserError(sentences[0])
    if sentences:
        lines = "".join(f"\n  {sentence}" for sentence in sentences)
        raise UserError(f"{len(sentences)} things stand in the way of this run:{lines}")
