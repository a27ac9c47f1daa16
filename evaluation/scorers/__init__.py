"""Other scorers of a suite's responses: reward models of other people, and language models as judges.

To add a kind: a module with a `KIND`, and its line here. Its name is written before a colon: hf:FOLDER.
"""

from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from evaluation.scorers.scorer import ScorerKind

SCORERS: "LazyRegistry[ScorerKind]" = LazyRegistry(
    {
        "hf": "evaluation.scorers.sequence_classifier:KIND",
        "armorm": "evaluation.scorers.gated:KIND",
        "judge": "evaluation.scorers.judge:KIND",
    }
)
