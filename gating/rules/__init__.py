"""Aggregation rules: each makes one score of a response's rewards."""

from gating.rules.fixed_weights import BEST_OBJECTIVE, CONVEX, DECORRELATED, SIGNED, UNIFORM
from gating.rules.gated import GATE, STRONGEST
from gating.rules.routed import ROUTED
from gating.rules.rule import Rule
from gating.rules.without_objectives import BRADLEY_TERRY, LENGTH

RULES: dict[str, Rule] = {
    "gate": GATE,
    "strongest": STRONGEST,
    "routed": ROUTED,
    "signed": SIGNED,
    "convex": CONVEX,
    "decorrelated": DECORRELATED,
    "uniform": UNIFORM,
    "best_objective": BEST_OBJECTIVE,
    "bradley_terry": BRADLEY_TERRY,
    "length": LENGTH,
}
"""To add a rule: a module in this folder, and its line here."""
