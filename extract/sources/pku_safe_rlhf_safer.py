"""PKU-SafeRLHF by safety: the rows of the source pku_safe_rlhf, paired by `safer_response_id`."""

from collections.abc import Iterator
from dataclasses import replace

from extract.records import PreferencePair, Skipped
from extract.sources import pku_safe_rlhf
from extract.sources.source import RawRow


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row: the response that people found safer."""
    yield pku_safe_rlhf.pair_by("safer_response_id", row)


SOURCE = replace(pku_safe_rlhf.SOURCE, name="pku_safe_rlhf_safer", parse=parse)
