"""Which pairs of a set are used: those with a margin that is large enough, and so many of a prompt."""

from collections import Counter

from extract.records import PreferencePair, Prompt
from extract.settings import PairSettings


class PairLimits:
    """The limits `minimum_margin` and `per_prompt` of one pair set, over its pairs in their order."""

    def __init__(self, settings: PairSettings) -> None:
        self._minimum_margin = settings.minimum_margin
        self._per_prompt = settings.per_prompt
        self._used: Counter[Prompt] = Counter()

    def refusal(self, pair: PreferencePair) -> str | None:
        """Why the pair is not used; None if it is, and then it counts for its prompt."""
        if self._minimum_margin is not None:
            if pair.margin is None:
                return "the pair has no margin to compare with minimum_margin"
            if pair.margin <= self._minimum_margin:
                return f"the margin is {pair.margin:g}, not above minimum_margin = {self._minimum_margin:g}"
        if self._per_prompt is not None:
            if self._used[pair.prompt] >= self._per_prompt:
                return f"the prompt has as many pairs as per_prompt = {self._per_prompt} allows"
            self._used[pair.prompt] += 1
        return None
