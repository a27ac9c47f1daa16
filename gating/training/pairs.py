"""Pairs as the gate's training takes them: everything that does not change during training, computed beforehand."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cache import UserError
from gating.prompts import Prompts, StoredPrompts, blocks


@dataclass(frozen=True, slots=True)
class GatePairs:
    """Pairs over a table of prompts, which several sets of pairs may share."""

    prompts: Prompts
    """(p, d), one row a distinct prompt."""
    prompt: Tensor
    """(n,) int64, each pair's row in `prompts`."""
    difference: Tensor
    """(n, k) float32, adjusted rewards of the chosen response less those of the rejected."""
    tied: Tensor | None = None
    """(n,) bool, True where neither response is preferred; None: every pair is decided."""
    margin: Tensor | None = None
    """(n,) float32, score difference that each pair asks for; None: 0."""
    weight: Tensor | None = None
    """(n,) float32, weight of each pair in the loss; None: 1."""
    total: Tensor | None = None
    """(n, k) float32, adjusted rewards of the chosen response plus those of the rejected; only centred rewards need
    it."""

    def __len__(self) -> int:
        return len(self.prompt)

    def at(self, rows: Tensor) -> "GatePairs":
        """Some of the pairs, over the same prompts: rows (m,) int64 or (n,) bool."""
        optional = (self.tied, self.margin, self.weight, self.total)
        columns = (None if column is None else column[rows] for column in optional)
        return GatePairs(self.prompts, self.prompt[rows], self.difference[rows], *columns)

    def decided(self) -> "GatePairs":
        """The pairs in which one response is preferred."""
        return self if self.tied is None else self.at(~self.tied)

    def used_prompts(self) -> Tensor:
        """The distinct rows of `prompts` that these pairs use, ascending. Shape (u,)."""
        return torch.unique(self.prompt)

    def check(self, name: str) -> None:
        """Refuse pairs that nothing can be learned from.

        Raises:
            UserError: there are no pairs, all are ties, or a value is not finite; `name` says which pairs.
        """
        refuse_undecided(name, len(self), 0 if self.tied is None else int(self.tied.sum()))
        broken = torch.nonzero(~torch.isfinite(self.difference))
        if len(broken):
            raise UserError(
                f"a reward of the {name} pairs is not finite (pair {int(broken[0, 0])}, objective"
                f" {int(broken[0, 1])}): run `armorm fit-heads` again"
            )
        if isinstance(self.prompts, StoredPrompts):
            return  # a store holds finite values alone
        for block in blocks(self.prompts, self.used_prompts()):
            if not torch.isfinite(block).all():
                raise UserError(f"a prompt feature of the {name} pairs is not finite: run `armorm extract` again")


def refuse_undecided(name: str, pairs: int, ties: int) -> None:
    """Refuse a set of pairs without a decided one.

    Raises:
        UserError: there are no pairs, or all are ties; `name` says which pairs.
    """
    if pairs == 0:
        raise UserError(f"there are no {name} pairs: add a pair set, or change split.validation")
    if ties == pairs:
        raise UserError(f"all {pairs:,} {name} pairs are ties: add a pair set with preferences, or lower gate.ties")
