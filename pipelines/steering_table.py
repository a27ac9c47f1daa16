"""A table of the changes that a profile made to a score, as `explain` prints it."""

from typing import TYPE_CHECKING

from pipelines.terminal import console

if TYPE_CHECKING:
    from export.results import Explanation, SteeringEffect


def show_steering(result: "Explanation", effect: "SteeringEffect") -> None:
    """Print each objective's weight and contribution under the gate and under the profile, the largest change first."""
    from rich.table import Table

    table = Table(
        title=f"profile {effect.profile}: score {effect.gate_score:.6f} under the gate, {result.score:.6f} under it",
        caption="The difference is that of the contributions; all else about the response stays as it is.",
    )
    table.add_column("objective", no_wrap=True)
    for heading in ("gate's weight", "coefficient", "contribution under the gate", "contribution", "difference"):
        table.add_column(heading, justify="right")
    before = effect.gate_contributions
    for term in sorted(result.objectives, key=lambda term: -abs(term.contribution - before[term.name])):
        values = (before[term.name], term.contribution, term.contribution - before[term.name])
        table.add_row(
            term.name,
            f"{effect.gate_weights[term.name]:.4f}",
            f"{term.coefficient:+.4f}",
            *(f"{value:+.6f}" for value in values),
        )
    table.add_section()
    if effect.vetoed:
        table.add_row("veto", "", "", "", f"{effect.veto:+.6f}", f"{effect.veto:+.6f}")
    sums = (effect.gate_score, result.score, result.score - effect.gate_score)
    weights = (sum(effect.gate_weights.values()), sum(term.coefficient for term in result.objectives))
    table.add_row("score", f"{weights[0]:.4f}", f"{weights[1]:+.4f}", *(f"{value:+.6f}" for value in sums))
    out = console()
    out.print(table)
    if effect.vetoed:
        taken = "caps the score" if effect.veto else "changes nothing, for the score is not above its cap"
        out.print(f"the veto {taken}; below their thresholds: {', '.join(effect.vetoed)}", highlight=False)
