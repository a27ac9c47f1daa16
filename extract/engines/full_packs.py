"""Padding of a pack to a fixed number of tokens, for layers that are compiled for one shape."""

from dataclasses import replace

import numpy as np

from extract.packing import PackLayout, Segment

FILLER = 128
"""Tokens of one segment of padding: few, so that its attention costs next to nothing."""


def filled(layout: PackLayout, tokens: int) -> PackLayout:
    """The pack followed by segments of token 0, `tokens` long in all. No other token attends to them, none is read."""
    used = len(layout.token_ids)
    starts = range(used, tokens, FILLER)
    segments = [Segment(start, min(start + FILLER, tokens), start, start) for start in starts]
    return replace(
        layout,
        token_ids=np.concatenate([layout.token_ids, np.zeros(tokens - used, dtype=np.int64)]),
        position_ids=np.concatenate([layout.position_ids, np.arange(tokens - used) % FILLER]),
        segments=(*layout.segments, *segments),
    )
