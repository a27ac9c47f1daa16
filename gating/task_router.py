"""Routing of prompts to tasks: a task is a pair set, and a prompt goes to the set whose prompts it is most like.

A linear classifier on the prompt's feature: the nearest of the tasks' means, in units of each column's spread
inside the tasks, with the tasks' frequencies as prior (linear discriminant analysis with a diagonal covariance,
which needs no matrix of the features' width).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gating.prompts import BLOCK_ROWS, Prompts, blocks


@dataclass(frozen=True, slots=True)
class TaskRouter:
    """The fitted classifier."""

    weight: Tensor
    """(tasks, d) float32"""
    bias: Tensor
    """(tasks,) float32"""

    @classmethod
    def fit(cls, prompts: Prompts, task: Tensor, tasks: int) -> "TaskRouter":
        """Fit on prompt features (p, d), and each prompt's task (p,) int64 below `tasks`."""
        d = prompts.shape[-1]
        sums, squares = torch.zeros(tasks, d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
        counts = torch.bincount(task, minlength=tasks).double()  # (tasks,)
        first = torch.arange(min(BLOCK_ROWS, len(prompts)))
        centre = prompts[first].double().mean(dim=0)  # (d,) keeps the squares from cancelling
        for features, of_block in zip(blocks(prompts), torch.split(task, BLOCK_ROWS), strict=True):
            block = features.double() - centre  # (b, d)
            squares += block.square().sum(dim=0)
            sums.index_add_(0, of_block, block)
        means = sums / counts.clamp(min=1.0)[:, None]  # (tasks, d)
        within = (squares - counts @ means.square()) / len(prompts)  # (d,)
        varies = within.clamp(min=0.0).sqrt() > 1e-7 * centre.abs()
        precision = torch.where(varies, 1.0 / torch.where(varies, within, 1.0), 0.0)  # (d,)
        # Columns are far from independent: counted as d independent ones they would outweigh the prior.
        weight = means * precision / max(int(varies.sum()), 1) ** 0.5  # (tasks, d)
        bias = torch.log(counts / len(prompts)) - 0.5 * (weight * means).sum(dim=-1) - weight @ centre
        # A task without prompts is never chosen; its bias must still be a number that a file can hold.
        bias = torch.where(counts > 0, bias, torch.finfo(torch.float32).min / 2)
        return cls(weight.float(), bias.float())

    def route(self, prompts: Prompts) -> Tensor:
        """Task of each prompt: features (p, d) -> (p,) int64."""
        if len(prompts) == 0:
            return torch.zeros(0, dtype=torch.int64)
        return torch.cat([(block.float() @ self.weight.T + self.bias).argmax(dim=-1) for block in blocks(prompts)])
