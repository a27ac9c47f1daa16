"""The room that is left in packs, found by best fit in a time that does not grow with their number."""

from bisect import bisect_left, insort
from heapq import heappop, heappush


class RoomInPacks:
    """Packs by the tokens that they have left: no more different numbers than a pack has tokens."""

    def __init__(self) -> None:
        self._packs: dict[int, list[int]] = {}  # tokens left -> heap of packs, never empty
        self._lefts: list[int] = []  # the keys of these, ascending

    def put(self, left: int, pack: int) -> None:
        """A pack has this many tokens left."""
        if left not in self._packs:
            self._packs[left] = []
            insort(self._lefts, left)
        heappush(self._packs[left], pack)

    def take(self, tokens: int) -> tuple[int, int] | None:
        """Take out the pack with the least room for so many tokens, the first of equals.

        Returns:
            Its tokens left, and its number; None if no pack has room.
        """
        at = bisect_left(self._lefts, tokens)
        if at == len(self._lefts):
            return None
        left = self._lefts[at]
        packs = self._packs[left]
        pack = heappop(packs)
        if not packs:
            del self._packs[left], self._lefts[at]
        return left, pack
