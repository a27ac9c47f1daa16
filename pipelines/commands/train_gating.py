"""`armorm train-gating`: take verbosity out of the rewards, train the gate, and fit the rules it is compared with."""

import logging
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run, reporting

if TYPE_CHECKING:
    from rich.table import Table

    from cache.progress import Progress
    from gating.results import Gating
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm train-gating --recipe recipes/demo.toml"


def command(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option("--plots", help="Draw `runs/<recipe>/plots/` too; needs matplotlib.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take verbosity out of the rewards, train the gate on the pairs, and fit the rules it is compared with."""
    run = open_run(recipe)
    if plots:
        from evaluation.gate_plots import check_plots

        check_plots()
    with run.writing(), reporting() as progress:
        result = train_gating(run, progress)
        if plots:
            from evaluation.gate_plots import plot_gating
            from pipelines.artefacts import PLOTS

            plot_gating(result, run.path(PLOTS))
    finish(result, as_json, lambda: show(result, run))


def train_gating(run: "Run", progress: "Progress") -> "Gating":
    """Fit lambda, the gate and the rules it is compared with; write `gating.safetensors` and `gating.json`.

    Raises:
        UserError: an earlier command is missing, or there are no pairs to learn from or to check on.
    """
    from cache.allocator import share_freed_memory
    from evaluation.held_out import contradiction, held_out_accuracies
    from gating.fitted_rules import FittedRules
    from gating.inputs import gate_inputs, usable_pairs
    from gating.reference_moments import reference_moments
    from gating.reference_set import debias, no_roots, reference_responses
    from gating.results import Gating, Ties
    from gating.reward import RewardParts
    from gating.rule_fitting import both_sides, fit_router, fit_rules, gate_by_dataset, gate_summary, rule_weights
    from gating.training.train import train_gate
    from heads.pairs.preference import fit_preference
    from pipelines.artefacts import EXAMPLES, GATING, PAIRS
    from pipelines.fitted import linear_heads
    from pipelines.recipe_checks import NO_PAIRS

    started = time.monotonic()
    share_freed_memory()
    recipe = run.recipe
    if not recipe.pairs:
        raise UserError(NO_PAIRS)
    store = run.store
    objectives, weight = linear_heads(run)  # (k,), (k, layers * d)
    examples, all_pairs = run.table(EXAMPLES), run.table(PAIRS)
    pairs = usable_pairs(all_pairs, recipe.gate, recipe.weighted_by_margin, store)

    sets = list(recipe.debiasing.reference) or [settings.name for settings in recipe.pairs]
    responses = reference_responses(all_pairs, examples, sets)
    debiasing, (before, after) = debias(responses, recipe.debiasing, sets, store, weight, objectives, progress)

    # Before the prompts: both at once are large.
    centring = recipe.heads.bradley_terry_center_rewards_coefficient
    plain = fit_preference(
        store, pairs, recipe.heads.bradley_terry_C, center_rewards_coefficient=centring, progress=progress
    )
    inputs = gate_inputs(pairs, store, weight, debiasing.transform, objectives, progress)
    gate_started = time.monotonic()
    totals = recipe.gate.center_rewards_coefficient > 0
    train, validation = (inputs.gate_pairs(split, totals=totals) for split in ("train", "validation"))
    trained = train_gate(train, validation, recipe.gate, progress)
    del train, validation
    gate_seconds = time.monotonic() - gate_started

    tasks = [settings.name for settings in recipe.pairs]
    router = fit_router(inputs, tasks)
    parts = RewardParts(objectives, weight, debiasing.transform, trained.gate)
    reference = reference_moments(responses.filter(responses["split"] == "train"), parts, store, progress)
    fitted = FittedRules(parts, plain.coef_, router, fit_rules(inputs, router, len(tasks)))
    sides = both_sides(store, inputs, parts, router, plain.coef_)
    rules, by_dataset, alone = held_out_accuracies(inputs, *sides, fitted.rules, objectives)
    summary = gate_summary(inputs, trained.gate, objectives)
    warning = summary.warning() or contradiction(rules)
    if warning is not None:
        log.warning("%s", warning)

    lambdas, *correlations = (
        {
            variable: dict(zip(objectives, values, strict=True))
            for variable, values in zip(debiasing.variables, table.tolist(), strict=True)
        }
        for table in (debiasing.lambdas, debiasing.before, debiasing.after, before, after)
    )
    result = Gating(
        lambdas=lambdas,
        correlation_before=correlations[0],
        correlation_after=correlations[1],
        correlation_before_held_out=correlations[2],
        correlation_after_held_out=correlations[3],
        no_root=no_roots(debiasing, recipe.debiasing.method),
        verbosity=debiasing.variables,
        correlation=recipe.debiasing.correlation,
        validation_accuracy=rules["gate"].accuracy,
        validation_loss=trained.best.loss,
        validation_pairs=len(inputs.rows("validation", decided=True)),
        train_pairs=len(inputs.rows("train", decided=True)),
        ties=Ties(*(int(inputs.tied[inputs.rows(split)].sum()) for split in ("train", "validation"))),
        uniform_validation_accuracy=rules["uniform"].accuracy,
        bradley_terry_validation_accuracy=rules["bradley_terry"].accuracy,
        bradley_terry_C=plain.C,
        rules=rules,
        rules_by_dataset=by_dataset,
        single_objectives=alone,
        rule_weights=rule_weights(fitted.rules, objectives),
        best_step=trained.best.step,
        seeds=trained.seed_metrics(),
        metrics=trained.metrics,
        tie_threshold=trained.tie_threshold,
        precision=str(trained.dtype).removeprefix("torch."),
        threads=trained.threads,
        gate=summary,
        gate_by_dataset=gate_by_dataset(inputs, trained.gate, objectives),
        warning=warning,
        reference=reference,
        gate_seconds=gate_seconds,
        seconds=time.monotonic() - started,
    )
    names = {"objectives": objectives, "verbosity": debiasing.variables, "tasks": tasks}
    metadata = {key: "\n".join(values) for key, values in names.items()}
    run.write(GATING, result, arrays=dict(fitted.arrays()), metadata=metadata)
    return result


def show(result: "Gating", run: "Run") -> None:
    """Print debiasing, and the held-out accuracy of the gate beside its comparisons."""
    from rich.table import Table

    from evaluation.numbers import number, signed
    from pipelines.artefacts import GATING

    out = console()
    for variable, lambdas in result.lambdas.items():
        table = Table(
            "objective",
            title=f"{run.recipe.name}: {result.correlation} correlation with {variable}",
            caption="on the reference set, and on validation responses of the same sets",
        )
        for heading in ("lambda", "before", "after", "held out before", "held out after"):
            table.add_column(heading, justify="right")
        correlations = (
            result.correlation_before,
            result.correlation_after,
            result.correlation_before_held_out,
            result.correlation_after_held_out,
        )
        for name, value in lambdas.items():
            before, after, *held_out = (signed(each[variable][name]) for each in correlations)
            if name in result.verbosity:
                after = held_out[1] = "zeroed"
            table.add_row(name, number(value), before, after, *held_out)
        out.print(table)
    out.print(_held_out_table(result))
    if len(result.seeds.each) > 1:
        seeds = result.seeds
        out.print(
            f"{len(seeds.each)} seeds: {seeds.accuracy_mean:.1%} ± {seeds.accuracy_spread:.1%}; seed {seeds.kept} is"
            " kept",
            highlight=False,
        )
    out.print(
        f"gate: best at step {result.best_step}, entropy {result.gate.entropy:.2f} (1 is equal weights),"
        f" mean weight of the strongest objective {result.gate.top_share:.2f}; {result.seconds:.1f} s;"
        f" {run.path(GATING)}"
    )


def _held_out_table(result: "Gating") -> "Table":
    """Accuracy of every rule on the held-out pairs."""
    from rich.table import Table

    from evaluation.rule_names import RULE_NAMES

    table = Table("rule", "method", title=f"held-out pairs judged right ({result.validation_pairs:,} pairs)")
    for heading in ("accuracy", "95 % interval", "lead over equal weights"):
        table.add_column(heading, justify="right")
    for name, rule in result.rules.items():
        lead = rule.lead
        table.add_row(
            *RULE_NAMES[name],
            f"{rule.accuracy:.1%}",
            f"{100 * rule.low:.1f} to {100 * rule.high:.1f}",
            f"{100 * lead.accuracy:+.1f} ({100 * lead.low:+.1f} to {100 * lead.high:+.1f})",
        )
    return table
