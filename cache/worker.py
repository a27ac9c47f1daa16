"""One of several workers that fill a store at once, each with its own part of the prompts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worker:
    """Worker `number` (from 1) of `of`. Every digest falls to exactly one of the `of` workers.

    Raises:
        ValueError: `number` is not within 1 and `of`.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no worker {self}: write 1/{self.of} to {self.of}/{self.of}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, digest: bytes) -> bool:
        """Whether the work with this digest falls to this worker."""
        return int.from_bytes(digest[:8], "little") % self.of == self.number - 1


ALONE = Worker(1, 1)
"""The only worker, which does all of the work."""
