"""Requests to vLLM: token sequences, and the tokens at which their states are read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.packing import PackLayout, Segment

TASK = "token_embed"
"""A pooling task that both of vLLM's model runners know, and whose result may have any number of rows."""


@dataclass(frozen=True, slots=True)
class StateRequest:
    """One token sequence, and the features that are read from it."""

    token_ids: NDArray[np.int64]
    """(tokens,)"""
    positions: tuple[int, ...]
    """Indices into the tokens, ascending; the last token's is always one of them."""
    features: tuple[int, ...]
    """For each position the index of its feature in the layout."""

    @property
    def reads_last_token_only(self) -> bool:
        """Whether a prefix may come from vLLM's cache, which never replaces the computation of the last token."""
        return len(self.positions) == 1


def state_requests(layout: PackLayout) -> list[StateRequest]:
    """The sequences of a pack as requests to vLLM, which does not know prompts with several responses.

    A prompt's feature is read by the request of its first response, since the prompt ends inside that
    conversation; only a prompt without responses in this pack has a separate request. Requests of one prompt follow
    each other, so that all but the first find the prompt in vLLM's prefix cache.
    """
    segments = {segment.stop - 1: segment for segment in layout.segments}
    ends = [segments[int(row)] for row in layout.rows]
    prompts = {(end.start, end.stop): feature for feature, end in enumerate(ends) if not _has_prompt(end)}
    requests = []
    for feature, end in enumerate(ends):
        if not _has_prompt(end):
            continue
        own, prefix = slice(end.start, end.stop), slice(end.prefix_start, end.prefix_stop)
        ids = np.concatenate([layout.token_ids[prefix], layout.token_ids[own]])  # (tokens,)
        last = len(ids) - 1
        prompt = prompts.pop((end.prefix_start, end.prefix_stop), None)
        if prompt is None:
            requests.append(StateRequest(ids, (last,), (feature,)))
        else:
            requests.append(StateRequest(ids, (end.prefix_stop - end.prefix_start - 1, last), (prompt, feature)))
    for (start, stop), feature in prompts.items():
        requests.append(StateRequest(layout.token_ids[start:stop], (stop - start - 1,), (feature,)))
    return requests


def _has_prompt(segment: Segment) -> bool:
    return segment.prefix_stop > segment.prefix_start
