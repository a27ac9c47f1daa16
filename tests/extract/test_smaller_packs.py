"""A pack cut into smaller ones, or filled up, gives the features of the whole, in its order."""

from collections.abc import Iterable, Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from extract.engines.full_packs import FILLER, filled
from extract.engines.smaller_packs import cut
from extract.packing import Pack, PackItem, PackLayout, Request
from extract.templating import Encoded
from tests.extract.test_packing import GROUPS, request_of


class ReadingEngine:
    """Features that are a function of the tokens each one has seen, at the positions it saw them."""

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[np.ndarray]:
        for layout in layouts:
            by_end = {segment.stop - 1: segment for segment in layout.segments}
            rows = []
            for row, ids in zip(layout.rows, layout.sequences(), strict=True):
                end = by_end[int(row)]
                seen = np.r_[end.prefix_start : end.prefix_stop, end.start : end.stop]
                positions = layout.position_ids[seen]
                rows.append([len(ids), ids @ (positions + 1) % 65_537, positions[-1]])
            yield np.array(rows, dtype=np.float32)


def whole_pack(request: Request, reads: st.DataObject) -> PackLayout:
    """All of a request as one pack; which prompts are read in it is drawn."""
    wanted = {key.tobytes() for key in request.keys()}
    (pack,) = request.plan(wanted, 1_000_000)
    drawn: Pack = tuple(
        PackItem(item.prompt, item.responses, not item.responses or reads.draw(st.booleans())) for item in pack
    )
    return request.layout(drawn)


@given(GROUPS, st.integers(1, 400), st.data())
def test_the_pieces_of_a_pack_give_its_features_in_its_order(
    groups: list[tuple[int, list[int]]], most_tokens: int, data: st.DataObject
) -> None:
    whole = whole_pack(request_of(groups), data)
    pieces = cut(whole, most_tokens)
    engine = ReadingEngine()
    (expected,) = engine.features([whole])
    assert np.array_equal(np.concatenate(list(engine.features(pieces))), expected)
    assert np.array_equal(np.concatenate([piece.keys for piece in pieces]), whole.keys)
    assert np.array_equal(np.concatenate([piece.n_tokens for piece in pieces]), whole.n_tokens)


@given(GROUPS, st.integers(1, 400), st.data())
def test_a_piece_is_longer_than_asked_for_only_if_it_is_a_single_conversation(
    groups: list[tuple[int, list[int]]], most_tokens: int, data: st.DataObject
) -> None:
    for piece in cut(whole_pack(request_of(groups), data), most_tokens):
        assert len(piece.token_ids) == sum(segment.stop - segment.start for segment in piece.segments)
        assert len(piece.token_ids) == len(piece.position_ids)
        prompts = sum(segment.prefix_start == segment.prefix_stop for segment in piece.segments)
        if len(piece.token_ids) > most_tokens:
            assert prompts == 1
            assert len(piece.segments) <= 2


@given(GROUPS, st.data())
def test_halving_ends_at_single_conversations(groups: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    waiting = [whole_pack(request_of(groups), data)]
    while waiting:
        piece = waiting.pop()
        halves = cut(piece, len(piece.token_ids) // 2)
        if len(halves) == 1:
            assert len(piece.segments) <= 2
        else:
            assert all(len(half.token_ids) < len(piece.token_ids) for half in halves)
            waiting.extend(halves)


def test_a_pack_that_is_small_enough_is_not_touched() -> None:
    request = request_of([(5, [3, 4])])
    (pack,) = request.plan({key.tobytes() for key in request.keys()}, 100)
    layout = request.layout(pack)
    (same,) = cut(layout, 12)
    assert same is layout


@given(GROUPS, st.integers(0, 3 * FILLER), st.data())
def test_filling_changes_nothing_that_is_read(
    groups: list[tuple[int, list[int]]], more: int, data: st.DataObject
) -> None:
    layout = whole_pack(request_of(groups), data)
    tokens = len(layout.token_ids) + more
    full = filled(layout, tokens)
    assert full.token_ids.shape == full.position_ids.shape == (tokens,)
    assert full.token_ids.dtype == layout.token_ids.dtype
    assert full.position_ids.dtype == layout.position_ids.dtype
    assert full.segments[: len(layout.segments)] == layout.segments
    engine = ReadingEngine()
    (expected,), (got,) = engine.features([layout]), engine.features([full])
    assert np.array_equal(got, expected)
    assert np.array_equal(full.keys, layout.keys)


@given(st.integers(1, 300), st.integers(0, 500))
def test_segments_of_filling_see_themselves_alone_and_reach_to_the_end(prompt: int, more: int) -> None:
    request = Request()
    request.add(Encoded(np.arange(prompt, dtype=np.uint32), ()))
    (pack,) = request.plan({key.tobytes() for key in request.keys()}, 1000)
    full = filled(request.layout(pack), prompt + more)
    at = prompt
    for segment in full.segments[1:]:
        assert segment.start == at
        assert segment.prefix_start == segment.prefix_stop
        assert 0 < segment.stop - segment.start <= FILLER
        assert full.position_ids[segment.start : segment.stop].tolist() == list(range(segment.stop - segment.start))
        at = segment.stop
    assert at == prompt + more
