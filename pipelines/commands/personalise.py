"""`armorm personalise`: a user's own weights of the objectives, from a few pairs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.terminal import (
    JsonOption,
    ModelDir,
    choice,
    console,
    finish,
    interrupted_by_termination,
    open_run,
    reporting,
)

if TYPE_CHECKING:
    from cache.progress import Progress
    from export.ends import Source
    from export.reward_model import RewardModel
    from gating.personal import Mode, Personal
    from gating.profile import Profile
    from pipelines.results import Personalisation, PersonalWeight
    from pipelines.run import Run

EXAMPLE = "armorm personalise exported/demo --pairs mine.jsonl --out mine.toml"


def command(
    pairs: Annotated[
        Path,
        typer.Option(
            help="Pairs with prompt, chosen and rejected, in any form that the source 'preference' reads: JSON lines or"
            " array, CSV, TSV, Parquet or Arrow, also compressed; - is standard input, with JSON lines."
        ),
    ],
    model: Annotated[Path | None, ModelDir] = None,
    recipe: Annotated[Path | None, typer.Option(help="The recipe of a run, in place of MODEL_DIR.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The profile to write (TOML), in place of what is there. By default none.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the profile.")] = "mine",
    mode: Annotated[
        str,
        choice(
            ("add", "replace"),
            "add: weights that are added to the gate's, which differ by prompt; replace: weights in place of the"
            " gate's, the same for all prompts.",
        ),
    ] = "add",
    as_json: JsonOption = False,
) -> None:
    """Learn a user's weights from pairs; exit code 1, and no profile, if they do not beat the gate beyond noise."""
    if (model is None) == (recipe is None):
        raise UserError("personalise needs a model: give either MODEL_DIR or --recipe")
    run = None if recipe is None else open_run(recipe)
    from export.ends import Source, check_folder
    from export.model_folder import config_values

    source = Source.of(pairs, "--pairs")
    if out is not None:
        check_folder(out, "--out")
    if model is not None:
        config_values(model)
    if run is not None:
        from pipelines.artefacts import GATING

        run.require(GATING)
    _profile({"any": 1.0}, ("any",), name, "add")  # an impossible name is refused before minutes of work
    with reporting() as progress, interrupted_by_termination():
        result = personalise(_model(model, run), source, mode, name, out, progress)  # type: ignore[arg-type]
    finish(result, as_json, lambda: show(result, out))
    if not result.better:
        raise typer.Exit(1)


def _model(folder: Path | None, run: "Run | None") -> "RewardModel":
    if run is not None:
        from pipelines.fitted import reward_model

        return reward_model(run)
    from export.reward_model import RewardModel

    assert folder is not None
    return RewardModel.load(folder)


def personalise(
    model: "RewardModel", source: "Source", mode: "Mode", name: str, out: Path | None, progress: "Progress"
) -> "Personalisation":
    """Learn the weights, and write the profile if they beat the gate.

    Args:
        model: the reward model.
        source: the pairs.
        mode: how the profile uses the weights.
        name: of the profile.
        out: file of the profile; None: it is not written.
        progress: told of pairs scored.

    Raises:
        UserError: the file cannot be read, holds no pair that can be used, or the profile cannot be written.
    """
    from export.preference_pairs import read_pairs, score_pairs
    from gating.personal import personalise as learn
    from gating.profile import write_profile
    from pipelines.results import Personalisation

    started = time.monotonic()
    read = read_pairs(source)
    scored = score_pairs(model, read.pairs, progress)
    skipped = tuple(sorted((*read.skipped, *scored.skipped)))
    if not scored.rows:
        raise UserError(_no_pair(source.path, read.rows, skipped))
    found = learn(scored.differences, scored.gate_weights, mode)
    if found.better and out is not None:
        weights = dict(zip(model.objectives, found.weights.tolist(), strict=True))
        write_profile(out, _profile(weights, model.objectives, name, mode))
    return Personalisation(
        profile=str(out) if found.better and out is not None else None,
        mode=mode,
        better=found.better,
        rows=read.rows,
        pairs=len(scored.rows),
        accuracy=found.accuracy,
        gate_accuracy=found.gate_accuracy,
        gained=found.gained,
        lost=found.lost,
        probability_better=found.probability_better,
        temperature=found.temperature,
        tau=found.tau,
        objectives=tuple(_objectives(found, model.objectives)),
        repeated=read.repeated,
        contradicting=read.contradicting,
        skipped=skipped,
        seconds=time.monotonic() - started,
    )


def _no_pair(path: Path, rows: int, skipped: tuple[tuple[int, str], ...]) -> str:
    if not rows:
        return f"{path} holds no pairs: give rows with prompt, chosen and rejected"
    if not skipped:
        return f"{path} prefers either response of every pair, and so says nothing: leave one row of each pair"
    number, reason = skipped[0]
    return f"{path} holds no pair that can be used (the first, row {number}: {reason}): correct its rows"


def _profile(weights: dict[str, float], objectives: tuple[str, ...], name: str, mode: str) -> "Profile":
    from gating.profile import LEAST, profile_of

    kept = {each: value if abs(value) >= LEAST else 0.0 for each, value in weights.items()}
    values = {"name": name, "mode": mode, "renormalise": True, "weights": kept, "objectives": list(objectives)}
    return profile_of(values, "the profile of these pairs")


def _objectives(found: "Personal", names: tuple[str, ...]) -> list["PersonalWeight"]:
    from gating.decision import probability_better
    from pipelines.results import PersonalWeight

    learned = found.weights - found.gate if found.mode == "replace" else found.weights  # (k,)
    certainty = probability_better(abs(learned), found.std)  # (k,)
    columns = (found.gate, found.gate + learned, learned, found.std, found.prior_std, certainty)
    keys = ("gate", "weight", "learned", "std", "prior_std", "certainty")
    return [
        PersonalWeight(name=name, **dict(zip(keys, map(float, values), strict=True)))
        for name, *values in zip(names, *columns, strict=True)
    ]


def show(result: "Personalisation", out: Path | None) -> None:
    """Print the weights, those that the pairs say most of first, and whether they beat the gate."""
    from rich.table import Table

    table = Table(title=f"weights from {result.pairs} pairs, beside the gate's mean over their prompts")
    table.add_column("objective", no_wrap=True)
    for heading in ("gate", "yours", "difference", "± standard deviation", "sign is certain to"):
        table.add_column(heading, justify="right")
    for one in sorted(result.objectives, key=lambda one: -one.certainty):
        numbers = (f"{one.gate:.4f}", f"{one.weight:.4f}", f"{one.learned:+.4f}", f"{one.std:.4f}")
        table.add_row(one.name, *numbers, f"{one.certainty:.0%}")
    screen = console()
    screen.print(table)
    screen.print(
        f"{result.rows:,} rows, {result.pairs:,} pairs used; {len(result.repeated):,} rows repeat a pair,"
        f" {sum(map(len, result.contradicting)):,} contradict each other, {len(result.skipped):,} skipped",
        highlight=False,
    )
    screen.print(
        f"right of the pairs, each left out of the fit: your weights {result.accuracy:.1%}, the gate"
        f" {result.gate_accuracy:.1%}; where they disagree, yours {result.gained} times, the gate {result.lost} times",
        highlight=False,
    )
    screen.print(_verdict(result, out), highlight=False)


def _verdict(result: "Personalisation", out: Path | None) -> str:
    from gating.personal import SURE, probability_better

    found = f"with a probability of {result.probability_better:.0%}; {SURE:.0%} are asked for"
    if result.better:
        ending = f"written to {result.profile}" if result.profile else "--out FILE writes them as a profile"
        return f"your weights beat the gate {found}: {ending}"
    unchanged = "no profile is written, and the gate's weights stay" if out is not None else "keep the gate's weights"
    wrong = round(result.pairs * (1.0 - result.gate_accuracy))
    if probability_better(wrong, 0) < SURE:
        return f"too few pairs to beat the gate, which is wrong in {wrong} of them: {unchanged}"
    return f"your weights beat the gate {found}: {unchanged}"
