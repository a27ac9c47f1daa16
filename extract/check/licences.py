"""Whether a licence allows commercial use."""

import re

NON_COMMERCIAL = re.compile(r"(?:^|[-_ ])nc(?:[-_ .]|$)|non-?commercial|research[-_ ]only", re.IGNORECASE)
"""Creative Commons' NC, and what other licences of data and models call themselves."""


def forbids_commercial_use(licence: str | None) -> bool:
    """Whether a licence's name says that commercial use is forbidden; an unknown licence does not say so."""
    return licence is not None and NON_COMMERCIAL.search(licence) is not None
