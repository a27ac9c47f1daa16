"""PKU-SafeRLHF: two responses per row; people said which is better and, separately, which is safer.

Schema (PKU-Alignment/PKU-SafeRLHF and PKU-SafeRLHF-30K): prompt, response_0, response_1, is_response_0_safe,
is_response_1_safe, better_response_id, safer_response_id (0 or 1). The pair follows `better_response_id`; for
`safer_response_id` there is the source pku_safe_rlhf_safer. The published data used the 30K release. Its viewer shows a
split train; the name of its file was not seen (round0/train.jsonl.xz in the repository it was moved from), hence the
wide patterns.
"""

from collections.abc import Iterator

from extract.files.kinds import TRAINING_FILES, patterns
from extract.records import PreferencePair, Skipped
from extract.sources.pairing import preference_pair
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row: the response that people found better."""
    yield pair_by("better_response_id", row)


def pair_by(column: str, row: RawRow) -> PreferencePair | Skipped:
    """The pair whose chosen response is the one that `column` numbers."""
    preferred = row.value(column)
    if preferred not in (0, 1):
        raise BadRowError(f"column '{column}' is {preferred!r}, expected 0 or 1")
    responses = row.text("response_0"), row.text("response_1")
    prompt = user_prompt(row.text("prompt"))
    return preference_pair(row.where, prompt, responses[int(preferred)], responses[1 - int(preferred)])


SOURCE = Source(
    name="pku_safe_rlhf",
    kind="pairs",
    repo="PKU-Alignment/PKU-SafeRLHF-30K",
    files=TRAINING_FILES,
    other_files=(patterns("**/*train*"),),
    columns=("prompt", "response_0", "response_1", "better_response_id", "safer_response_id"),
    parse=parse,
)
