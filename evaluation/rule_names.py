"""Titles and methods of rules and pairwise heads, for tables and pages."""

from gating.rules import RULES
from heads.kinds.registry import PAIRWISE

RULE_NAMES: dict[str, tuple[str, str]] = {name: (rule.title, rule.method) for name, rule in RULES.items()} | {
    name: (head.title, head.method) for name, head in PAIRWISE.items()
}
"""Rule or pairwise head -> title and method."""
