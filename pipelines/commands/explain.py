"""`armorm explain`: one prompt and one response, and what each objective adds to the score."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.steering_options import (
    Chosen,
    DirectionOption,
    ModeOption,
    ProfileOption,
    RenormaliseOption,
    WeightOption,
)
from pipelines.steering_table import show_steering
from pipelines.terminal import JsonOption, ModelDir, console, finish, open_run

if TYPE_CHECKING:
    from export.results import Explanation, Rating, Term

EXAMPLE = "armorm explain --recipe recipes/demo.toml --prompt 'What is 2 + 2?' --response '2 + 2 is 4.'"


def command(
    prompt: Annotated[str, typer.Option(help="The user's message.")],
    response: Annotated[str, typer.Option(help="The answer to be scored.")],
    model: Annotated[Path | None, ModelDir] = None,
    recipe: Annotated[Path | None, typer.Option(help="The recipe of a run, in place of MODEL_DIR.")] = None,
    profile: ProfileOption = None,
    weight: WeightOption = None,
    weight_mode: ModeOption = None,
    direction: DirectionOption = None,
    renormalise: RenormaliseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score one response, and show what each objective adds to the score, and what a profile changes in it."""
    if (model is None) == (recipe is None):
        raise UserError("explain needs a model: give either MODEL_DIR or --recipe")
    chosen = Chosen.of(profile, weight, weight_mode, direction, renormalise)
    predicted = None
    if recipe is not None:
        run = open_run(recipe)
        from pipelines.artefacts import GATING

        run.require(GATING)  # before the imports of `fitted`, which take longer
        from pipelines.fitted import distribution_heads, reward_model

        scorer, predicted = reward_model(run), distribution_heads(run).distributions
    else:
        assert model is not None
        from export.model_folder import config_values

        config_values(model)  # before the imports of `reward_model`, which take longer
        from export.reward_model import RewardModel

        scorer = RewardModel.load(model)
    from export.explanation import explain

    result = explain(scorer, prompt, response, predicted, chosen.bound(scorer))
    finish(result, as_json, lambda: show(result))


def show(result: "Explanation") -> None:
    """Print the score and its terms, the largest first."""
    from rich.table import Table

    named = ", ".join(f"{variable.name} ({variable.value:.4f})" for variable in result.verbosity) or "none"
    several = len(result.verbosity) > 1
    penalty = (
        "the sum of coefficient × lambda × variable over" if several else "coefficient × lambda × verbosity, which is"
    )
    spread = "" if result.score_std is None else f" ± {result.score_std:.4f}"
    table = Table(
        title=f"score {result.score:.6f}{spread}{', UNFAMILIAR' * bool(result.unfamiliar)}",
        caption=(
            f"contribution = coefficient × reward - verbosity penalty; penalty = {penalty}"
            f" {named}. The score is the sum of the contributions in full precision (--json), shown rounded here."
        ),
    )
    table.add_column("objective", no_wrap=True)
    for heading in ("coefficient", "reward", "coefficient × reward", "verbosity penalty", "contribution"):
        table.add_column(heading, justify="right")
    for term in sorted(result.objectives, key=lambda term: -abs(term.contribution)):
        gains = (f"{value:+.6f}" for value in (term.gain, term.verbosity_penalty, term.contribution))
        table.add_row(term.name, f"{term.coefficient:.4f}", f"{term.reward:.4f}", *gains)
    table.add_section()
    effect = result.steering
    before_veto = result.score - (0.0 if effect is None else effect.veto)
    weights = result.gate.logit_scale if effect is None else sum(term.coefficient for term in result.objectives)
    sums = (f"{value:+.6f}" for value in (result.gain, result.verbosity_penalty, before_veto))
    table.add_row("sum", f"{weights:.4f}", "", *sums)
    out = console()
    out.print(table)
    if several:
        _show_variables(result)
    if effect is not None:
        show_steering(result, effect)
    if result.coverage is not None or any(term.rating is not None for term in result.objectives):
        _show_ratings(result)
    if result.score_std is not None:
        out.print("± is one standard error: the noise of the ratings that the heads learned from, and nothing else")
    places = [term.uncertainty.leverage_place for term in result.objectives if term.uncertainty is not None]
    known = [place for place in places if place is not None]
    if known:
        familiar = "unlike all rated responses" if result.unfamiliar else "familiar"
        out.print(
            f"{familiar}: its leverage, where it is most at home, is at the {min(known):.2f} quantile", highlight=False
        )
    if result.distributions:
        _show_distributions(result)


def _show_variables(result: "Explanation") -> None:
    """Print what each variable takes from the score."""
    from rich.table import Table

    table = Table("variable", title="verbosity penalty by variable")
    for heading in ("value", "penalty"):
        table.add_column(heading, justify="right")
    for variable in result.verbosity:
        table.add_row(variable.name, f"{variable.value:.4f}", f"{variable.penalty:+.6f}")
    console().print(table)


def _show_ratings(result: "Explanation") -> None:
    """Print the predicted ratings on their own scales, with the intervals of new ratings, in the order of the terms."""
    from rich.table import Table

    table = Table(title="predicted ratings")
    table.add_column("objective", no_wrap=True)
    table.add_column("scale", justify="right")
    table.add_column("rating", justify="right")
    if result.coverage is not None:
        table.add_column(f"{100 * result.coverage:g} % of ratings", justify="right")
    for term in sorted(result.objectives, key=lambda term: -abs(term.contribution)):
        intervals = () if result.coverage is None else (_interval(term),)
        scale = "" if term.rating is None else f"{term.rating.low:g} to {term.rating.high:g}"
        table.add_row(term.name, scale, _rating(term.rating), *intervals)
    console().print(table)


def _interval(term: "Term") -> str:
    """The interval of a new rating, on the scale of the ratings where that is known."""
    ends = term.interval if term.rating is None else term.rating.interval
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _show_distributions(result: "Explanation") -> None:
    """Print the kinds' distributions of the score below that of the ridge."""
    from rich.table import Table

    table = Table(
        "heads",
        title="the score as a distribution",
        caption=(
            "A kind's distribution is that of a rating by one objective, drawn by the gate's weights. The ridge's ± is"
            " the error of its score alone, not the spread of ratings."
        ),
    )
    for heading in ("mean", "±", "5 %", "median", "95 %"):
        table.add_column(heading, justify="right")
    table.add_row("ridge", f"{result.score:.4f}", "" if result.score_std is None else f"{result.score_std:.4f}")
    for kind, one in result.distributions.items():
        table.add_row(kind, *(f"{value:.4f}" for value in (one.mean, one.std, one.low, one.median, one.high)))
    console().print(table)


def _rating(rating: "Rating | None") -> str:
    """A reward on the scale of its ratings, with its standard error."""
    if rating is None:
        return ""
    spread = "" if rating.std is None else f" ± {rating.std:.2f}"
    return f"{rating.value:.2f}{spread}"
