"""Aggregation rules, each one score of a response's rewards. To add one: a module with a `Rule`, and its line here."""

from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from gating.rules.rule import Rule

RULES: "LazyRegistry[Rule]" = LazyRegistry(
    {
        "gate": "gating.rules.gated:GATE",
        "before_debiasing": "gating.rules.gated:BEFORE_DEBIASING",
        "strongest": "gating.rules.gated:STRONGEST",
        "routed": "gating.rules.routed:ROUTED",
        "signed": "gating.rules.fixed_weights:SIGNED",
        "convex": "gating.rules.fixed_weights:CONVEX",
        "decorrelated": "gating.rules.fixed_weights:DECORRELATED",
        "uniform": "gating.rules.fixed_weights:UNIFORM",
        "best_objective": "gating.rules.fixed_weights:BEST_OBJECTIVE",
        "bradley_terry": "gating.rules.without_objectives:BRADLEY_TERRY",
        "length": "gating.rules.without_objectives:LENGTH",
    }
)
