"""A pair from a signed strength: below 0 the first response is better, above 0 the second, and 0 is a tie.

HelpSteer2 and HelpSteer3 write -3 to 3. The pair's margin is the strength without its sign, 1 to 3.
"""

from extract.records import PreferencePair, Prompt
from extract.sources.pairing import preference_pair
from extract.sources.source import BadRowError, RawRow, rating

STRONGEST = 3


def pair_by_strength(row: RawRow, prompt: Prompt, first: str, second: str, column: str) -> PreferencePair:
    """The pair of two responses to a prompt.

    Args:
        row: the row.
        prompt: what was asked.
        first: text of the response that a negative strength prefers.
        second: text of the other one.
        column: holds the strength.

    Raises:
        BadRowError: the strength is missing, 0, or beyond -3 to 3; or both responses are the same text.
    """
    strength = rating(row.value(column), f"column '{column}'")
    if strength is None:
        raise BadRowError(f"column '{column}' is empty")
    if abs(strength) > STRONGEST:
        raise BadRowError(f"column '{column}' is {strength:g}, expected -{STRONGEST} to {STRONGEST}")
    if strength == 0:
        raise BadRowError(f"column '{column}' is 0, so neither response is preferred")
    chosen, rejected = (first, second) if strength < 0 else (second, first)
    return preference_pair(row.where, prompt, chosen, rejected, abs(strength))
