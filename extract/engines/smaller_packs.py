"""Division of a pack into smaller ones, for a device that has no room for it or is faster in pieces."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from cache import UserError
from extract.packing import PackLayout, Segment

Piece = list[tuple[Segment, bool]]
"""The segments of a prompt and of some of its responses, each with whether its feature is read here."""

REMEDY = "lower backbone.max_tokens, or use a device with more memory"


def cut(layout: PackLayout, most_tokens: int) -> list[PackLayout]:
    """Divide a pack into packs of at most `most_tokens` tokens; their features concatenated are its features.

    A prompt whose responses do not fit together is repeated. A single conversation longer than `most_tokens`
    stays whole, since it cannot be divided.
    """
    if len(layout.token_ids) <= most_tokens:
        return [layout]
    read = set(map(int, layout.rows))
    packs: list[list[Piece]] = []
    used = 0
    for prompt, responses in _conversations(layout.segments):
        for piece in _pieces(prompt, responses, read, most_tokens):
            tokens = sum(_length(segment) for segment, _ in piece)
            if not packs or used + tokens > most_tokens:
                packs.append([])
                used = 0
            packs[-1].append(piece)
            used += tokens
    places = {int(row): place for place, row in enumerate(layout.rows)}
    return [_layout(layout, pieces, places) for pieces in packs]


def does_not_fit(tokens: int, device: torch.device, remedy: str = REMEDY) -> UserError:
    """The error of a conversation that is too long for a device even by itself."""
    return UserError(f"a conversation of {tokens:,} tokens does not fit the memory of {device} by itself: {remedy}")


def _conversations(segments: Sequence[Segment]) -> Iterator[tuple[Segment, list[Segment]]]:
    """The segments, grouped as (prompt, responses)."""
    prompt: Segment | None = None
    responses: list[Segment] = []
    for segment in segments:
        if segment.prefix_start == segment.prefix_stop:
            if prompt is not None:
                yield prompt, responses
            prompt, responses = segment, []
        else:
            responses.append(segment)
    if prompt is not None:
        yield prompt, responses


def _pieces(prompt: Segment, responses: list[Segment], read: set[int], most_tokens: int) -> Iterator[Piece]:
    piece: Piece = [(prompt, prompt.stop - 1 in read)]
    used = _length(prompt)
    for response in responses:
        if len(piece) > 1 and used + _length(response) > most_tokens:
            yield piece
            piece, used = [(prompt, False)], _length(prompt)
        piece.append((response, True))
        used += _length(response)
    yield piece


def _layout(whole: PackLayout, pieces: list[Piece], places: dict[int, int]) -> PackLayout:
    """The layout of some pieces of a pack; `places` maps a token of the whole pack to the feature read there."""
    tokens: list[slice] = []
    segments: list[Segment] = []
    rows: list[int] = []
    features: list[int] = []
    at = 0
    for piece in pieces:
        start, stop = at, at + _length(piece[0][0])
        for number, (segment, is_read) in enumerate(piece):
            tokens.append(slice(segment.start, segment.stop))
            own = at + _length(segment)
            segments.append(Segment(at, own, start, start if number == 0 else stop))
            at = own
            if is_read:
                rows.append(at - 1)
                features.append(places[segment.stop - 1])
    return PackLayout(
        token_ids=np.concatenate([whole.token_ids[part] for part in tokens]),
        position_ids=np.concatenate([whole.position_ids[part] for part in tokens]),
        segments=tuple(segments),
        keys=whole.keys[features],
        rows=np.asarray(rows, dtype=np.int64),
        n_tokens=whole.n_tokens[features],
    )


def _length(segment: Segment) -> int:
    return segment.stop - segment.start
