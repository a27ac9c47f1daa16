"""The heads that a recipe can have beside the ridge.

To add one: a module here with its settings, its fit and its scores, and its line in a table below. Settings,
`docs/recipe.md`, results, suites and reports follow from the table.
"""

from typing import Any

from cache.registry import LazyRegistry
from heads.kinds.kind import PairwiseKind, RatingsKind

PAIRWISE: LazyRegistry[PairwiseKind[Any]] = LazyRegistry(
    {
        "slic": "heads.kinds.slic:SLIC",
        "mlp": "heads.kinds.mlp:MLP",
    }
)
"""Heads that give a response one score."""

RATINGS: LazyRegistry[RatingsKind[Any]] = LazyRegistry(
    {
        "ordinal": "heads.kinds.ordinal:ORDINAL",
        "quantile": "heads.kinds.quantile:QUANTILE",
        "gaussian": "heads.kinds.gaussian:GAUSSIAN",
    }
)
"""Heads of one objective each."""

NAMES: tuple[str, ...] = (*PAIRWISE, *RATINGS)
"""All kinds, in the order of `[other_heads] fit` in the recipe's reference."""


def kind_of(name: str) -> PairwiseKind[Any] | RatingsKind[Any]:
    """The kind of this name; imports its module."""
    return PAIRWISE[name] if name in PAIRWISE else RATINGS[name]
