"""Token sequences in padded batches of like length, smaller ones where the memory runs out."""

import logging
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, TypeVar

import torch
from torch import Tensor

from extract.engines.smaller_packs import REMEDY, does_not_fit

log = logging.getLogger(__name__)

Tokens = TypeVar("Tokens", bound=Sized)
Result = TypeVar("Result")


class PaddedBatches:
    """Cuts sequences into batches; out of memory, batches have half as many positions from then on.

    Args:
        most_positions: positions of a batch, padding included; a longer sequence is a batch of its own.
        device: where batches are computed, for messages and for giving memory back.
        remedy: what to do about a sequence that does not fit the memory by itself.
    """

    def __init__(self, most_positions: int, device: torch.device, remedy: str = REMEDY) -> None:
        self._most_positions = most_positions
        self._device = device
        self._remedy = remedy

    def run(
        self, sequences: Sequence[Tokens], compute: Callable[[list[Tokens]], Result]
    ) -> Iterator[tuple[list[int], Result]]:
        """Compute batch after batch, the longest sequences first.

        Args:
            sequences: token ids of each.
            compute: result of a batch, whose first sequence is the longest.

        Yields:
            Positions of a batch among `sequences`, and its result.

        Raises:
            UserError: one sequence does not fit the memory by itself.
        """
        order = sorted(range(len(sequences)), key=lambda number: -len(sequences[number]))
        while order:
            longest = len(sequences[order[0]])
            batch = order[: max(1, self._most_positions // longest)]
            try:
                result = [compute([sequences[number] for number in batch])]
            except torch.OutOfMemoryError:
                result = []
            if not result:  # outside of the handler, whose exception still holds the tensors
                self._halve(len(batch), longest)
                continue
            yield batch, result[0]
            order = order[len(batch) :]

    def _halve(self, batch: int, longest: int) -> None:
        if batch == 1:
            raise does_not_fit(longest, self._device, self._remedy)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("out of memory with %s positions a pass: going on with half", f"{batch * longest:,}")
        self._most_positions = batch * longest // 2


def pad(sequences: Sequence[Any], filler: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of a batch, int64. Shape (b, longest) each.

    Padded on the right: positions then are what they would be alone, and no token looks to its right.

    Args:
        sequences: token ids, the first being the longest.
        filler: token in the padding.
    """
    ids = torch.full((len(sequences), len(sequences[0])), filler, dtype=torch.int64)  # (b, longest)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.int64)
        mask[row, : len(sequence)] = 1
    return ids, mask
