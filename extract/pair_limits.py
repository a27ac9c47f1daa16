"""Which pairs of a set are used: those with a margin that is large enough, and so many of a prompt."""

from collections import Counter
from collections.abc import Iterable, Iterator

from extract.records import PreferencePair, Prompt, Record, Skipped
from extract.settings import DatasetSettings, PairSettings


def within_limits(records: Iterable[Record | Skipped], settings: DatasetSettings) -> Iterator[Record | Skipped]:
    """Yield the records of a data set; pairs beyond `minimum_margin` and `per_prompt` are skipped with the reason.

    Args:
        records: records and skipped rows of one data set.
        settings: the data set; what is no pair set has no limits.
    """
    used: Counter[Prompt] = Counter()
    for record in records:
        if not isinstance(settings, PairSettings) or not isinstance(record, PreferencePair):
            yield record
            continue
        reason = _refusal(record, settings, used[record.prompt])
        if reason is not None:
            yield Skipped(record.row, reason)
            continue
        if settings.per_prompt is not None:
            used[record.prompt] += 1
        yield record


def _refusal(pair: PreferencePair, settings: PairSettings, used: int) -> str | None:
    """Why a pair is not used; None if it is."""
    least, most = settings.minimum_margin, settings.per_prompt
    if least is not None:
        if pair.margin is None:
            return "the pair has no margin to compare with minimum_margin"
        if pair.margin <= least:
            return f"the margin is {pair.margin:g}, not above minimum_margin = {least:g}"
    if most is not None and used >= most:
        return f"the prompt has as many pairs as per_prompt = {most} allows"
    return None
