"""Best fit: the pack with the least room that is enough, the first of equals."""

from hypothesis import given
from hypothesis import strategies as st

from extract.room_in_packs import RoomInPacks


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_the_same_packs_as_by_looking_at_all(steps: list[tuple[bool, int]]) -> None:
    room, all_of_them = RoomInPacks(), []
    for number, (put, tokens) in enumerate(steps):
        if put:
            room.put(tokens, number)
            all_of_them.append((tokens, number))
        else:
            best = min((each for each in all_of_them if each[0] >= tokens), default=None)
            assert room.take(tokens) == best
            if best is not None:
                all_of_them.remove(best)
