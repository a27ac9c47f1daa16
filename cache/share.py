"""One writer's share of a store that several fill at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` (from 1) of `of`; all shares together are the whole, and no two have anything in common."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no share {self}: write 1/{self.of} to {self.of}/{self.of}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, digest: bytes) -> bool:
        """Whether what has this digest falls to this share."""
        return int.from_bytes(digest[:8], "little") % self.of == self.number - 1


WHOLE = Share(1, 1)
"""Everything, for one writer."""
