"""What tables and pages call each way to a score."""

from gating.rules import RULES
from heads.kinds.registry import PAIRWISE

RULE_NAMES: dict[str, tuple[str, str]] = {name: (rule.title, rule.method) for name, rule in RULES.items()} | {
    name: (head.title, head.method) for name, head in PAIRWISE.items()
}
"""Rule -> what tables call it, and what it is known as."""
