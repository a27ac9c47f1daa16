"""Findings of a check: problems, which stop a run, and warnings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cache import UserError


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence with its remedy."""

    subject: str
    """The data set, the key of the recipe, or `backbone`."""
    sentence: str
    stops: bool
    """Whether it stops a run, or is a warning."""
    where: str | None = None
    """Line of the recipe that it is about, as `mine.toml:12`; None where it is about no line."""

    @property
    def line(self) -> str:
        """The sentence with its place and its subject in front, unless it begins with that."""
        sentence = self.sentence if self.sentence.startswith(self.subject) else f"{self.subject}: {self.sentence}"
        return sentence if self.where is None else f"{self.where}: {sentence}"


def with_lines(findings: Iterable[Finding], lines: Mapping[str, str]) -> list[Finding]:
    """The findings, each with the line of its subject; `lines` is subject -> line of the recipe."""
    return [replace(finding, where=lines.get(finding.subject)) for finding in findings]


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
