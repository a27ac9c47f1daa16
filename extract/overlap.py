"""Overlap of training with suites: rows whose prompt also stands in a suite, by `extract.prompt_index`.

A row that overlaps is learned from and judged, so that the suite's figure says less about prompts never seen. Only the
suites' prompts are held in memory; training rows are streamed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from extract.ngram_sieve import NgramSieve
from extract.prompt_index import PromptIndex
from extract.records import Prompt
from extract.words import N


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of one training set with one suite."""

    exact: int
    """Rows of the training set whose prompt is a prompt of the suite."""
    ngram: int
    """Rows whose prompt is not, and shares n-grams with one."""
    rows: int
    """Rows of the training set that were compared."""
    suite_rows: int
    """Rows of the suite whose prompt was found in the training set, either way."""


@dataclass(frozen=True, slots=True)
class Match:
    """A training prompt found in a suite."""

    suite: str
    share: float | None
    """Share of the shorter prompt's n-grams in the longer; None if the words are the same."""

    @property
    def reason(self) -> str:
        """The reason for leaving the row out of training."""
        if self.share is None:
            return f"overlap: its prompt is a prompt of the suite '{self.suite}'"
        return f"overlap: its prompt shares {self.share:.0%} of the {N}-grams with a prompt of the suite '{self.suite}'"


class SuitePrompts:
    """The prompts of all suites, and how often each training set repeats them.

    Add every suite's prompts before the first training row is counted.
    """

    def __init__(self) -> None:
        self._index = PromptIndex()
        self._sieve = NgramSieve()
        self._suites: dict[str, Counter[int]] = {}  # suite -> prompt number -> rows of the suite that have it
        self._suites_of: defaultdict[int, list[str]] = defaultdict(list)
        self._last: tuple[Prompt, dict[int, float | None]] | None = None
        self._rows: Counter[str] = Counter()
        self._exact: Counter[tuple[str, str]] = Counter()  # by suite and training set, as the two that follow
        self._ngram: Counter[tuple[str, str]] = Counter()
        self._found: defaultdict[tuple[str, str], set[int]] = defaultdict(set)

    def add(self, suite: str, prompt: Prompt) -> None:
        """Add the prompt of a suite's row."""
        rows = self._suites.setdefault(suite, Counter())
        number = self._index.add(prompt)
        self._sieve.add(prompt)
        if number is not None:
            if number not in rows:
                self._suites_of[number].append(suite)
            rows[number] += 1

    def count(self, training_set: str, prompts: Sequence[Prompt]) -> list[Match | None]:
        """Count training rows; returns the closest match of each in a suite, the same words first, or None."""
        self._rows[training_set] += len(prompts)
        if not self._suites:
            return [None] * len(prompts)
        different: list[Prompt] = []
        places = []  # place among these of each row's prompt; the responses to one prompt often stand together
        for prompt in prompts:
            if not different or prompt != different[-1]:
                different.append(prompt)
            places.append(len(different) - 1)
        passed = self._sieve.passes(different).tolist()
        return [
            self._count(training_set, prompt) if passed[place] else None
            for place, prompt in zip(places, prompts, strict=True)
        ]

    def _count(self, training_set: str, prompt: Prompt) -> Match | None:
        closest: dict[str, float | None] = {}  # suite -> share
        for number, share in self._matches(prompt).items():
            for suite in self._suites_of[number]:
                closest[suite] = max(share, closest.get(suite, share), key=_closeness)
                self._found[suite, training_set].add(number)
        for suite, share in closest.items():
            (self._exact if share is None else self._ngram)[suite, training_set] += 1
        matches = (Match(suite, share) for suite, share in closest.items())
        return max(matches, key=lambda match: _closeness(match.share), default=None)

    def overlap(self) -> dict[str, dict[str, Overlap]]:
        """Suite -> training set -> overlap, for all that were added and counted."""
        return {
            suite: {
                name: Overlap(
                    self._exact[suite, name],
                    self._ngram[suite, name],
                    compared,
                    sum(rows[number] for number in self._found.get((suite, name), ())),
                )
                for name, compared in self._rows.items()
            }
            for suite, rows in self._suites.items()
        }

    def _matches(self, prompt: Prompt) -> dict[int, float | None]:
        if self._last is None or self._last[0] != prompt:
            self._last = prompt, self._index.find(prompt)
        return self._last[1]


def overlap_lines(overlap: Mapping[str, Mapping[str, Overlap]], *, dropped: bool) -> Iterator[str]:
    """A sentence for each training set that overlaps with a suite, or one that says that none does.

    Args:
        overlap: suite -> training set -> overlap.
        dropped: whether the rows are left out of training.
    """
    found = False
    for suite, sets in overlap.items():
        for name, counts in sets.items():
            if both := counts.exact + counts.ngram:
                found = True
                yield (
                    f"overlap: {both:,} of {counts.rows:,} rows of {name} have a prompt of {suite}"
                    f" ({counts.exact:,} exact, {counts.ngram:,} by {N}-grams; rows of {suite}: {counts.suite_rows:,})"
                )
    if found and dropped:
        yield "overlap: these rows are left out of training"
    elif found:
        yield "overlap: split.drop_overlap = true leaves these rows out of training"
    elif any(overlap.values()):
        yield "overlap: no training row has a prompt of a suite"


def _closeness(share: float | None) -> float:
    return 2.0 if share is None else share
