"""`armorm export`: a run's reward model as a folder that transformers loads by itself."""

import logging
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gating.profile import Profile, read_profile
from pipelines.terminal import JsonOption, RecipeOption, choice, console, finish, open_run

if TYPE_CHECKING:
    from evaluation.results import Suite
    from export.model_card import CardTable
    from export.results import ExportResult
    from export.weights import Weights
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm export --recipe recipes/demo.toml --out exported/demo"

PACKAGES = ("armorm", "torch", "transformers")
"""Packages whose versions the provenance names."""


def command(
    recipe: RecipeOption,
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier export there is replaced.")],
    weights: Annotated[
        str, choice(("copy", "link"), "Copy the backbone's weights, or link to where they lie.")
    ] = "copy",
    check: Annotated[
        bool, typer.Option(help="Load the folder with transformers and compare its scores before it is kept.")
    ] = True,
    without_uncertainty: Annotated[
        bool,
        typer.Option("--without-uncertainty", help="Leave out what standard errors and intervals are made of."),
    ] = False,
    profile: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A profile that requests of the folder's scores can name; can be given several times.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the reward model as a folder that transformers loads by itself."""
    run = open_run(recipe)
    result = export(
        run,
        out,
        weights=weights,  # type: ignore[arg-type]
        check=check,
        uncertainty=not without_uncertainty,
        profiles=tuple(map(read_profile, profile or ())),
    )
    finish(result, as_json, lambda: show(result))


def export(
    run: "Run",
    out: Path,
    *,
    weights: "Weights",
    check: bool,
    uncertainty: bool = True,
    profiles: tuple[Profile, ...] = (),
) -> "ExportResult":
    """Write the folder.

    Args:
        run: extracted, fitted and trained.
        out: the folder.
        weights: whether the backbone's are copied or linked.
        check: whether to load the folder and compare its scores with those of the run's parts.
        uncertainty: whether the folder holds the uncertainty of the rewards and their intervals, if the run has them.
        profiles: profiles that the folder holds, with different names.

    Raises:
        UserError: an earlier command is missing, `out` holds something else, a profile does not fit the model, or the
            check fails.
    """
    from export.agreement import CONVERSATIONS, check_folder
    from export.folder import Exported, write_folder
    from export.model_card import model_card
    from export.named_profiles import NamedProfiles
    from export.results import ExportResult
    from export.reward_config import run_config
    from export.reward_model import RewardModel
    from export.reward_uncertainty import uncertainty_bytes
    from extract.engines.choice import choose_device
    from pipelines.artefacts import GATING, HEADS
    from pipelines.fitted import own_backbone, reward_parts
    from pipelines.results import plain

    started = time.monotonic()
    recipe = run.recipe
    parts, backbone = reward_parts(run), own_backbone(run)
    if not uncertainty:
        parts = replace(parts, uncertainty=None, intervals=None)
    heads, gating = run.read(HEADS), run.read(GATING)
    config = run_config(
        parts,
        heads.scales,
        recipe.backbone,
        backbone,
        engine=run.extracted.engine,
        fingerprint=run.fingerprint,
        recipe=run.digest,
        profiles=profiles,
        reference=gating.reference,
        score_temperature=gating.rules["gate"].score_temperature,
    )
    NamedProfiles.of(config, out)  # what does not fit is refused before anything is written
    suites = run.current_suites(lambda reason: log.warning("not in the model card: %s", reason))
    local = backbone.folder == Path(recipe.backbone.model)
    name = backbone.folder.resolve().name if local else recipe.backbone.model
    learned_from = {part.name for part in (*recipe.ratings, *recipe.pairs)}
    licences = {f"backbone `{name}`": run.extracted.backbone_licence}
    licences |= {part: licence for part, licence in run.extracted.licences.items() if part in learned_from}
    tables = [_table(one) for one in suites.values()]
    card = model_card(recipe.name, recipe.note, name, config, heads, gating, tables, licences)
    provenance = {
        "recipe": run.settings,
        "fingerprint": asdict(run.store.fingerprint),
        "versions": {package: version(package) for package in PACKAGES},
        "datasets": plain(run.extracted.datasets),
        "revisions": run.extracted.revisions,
        "licences": licences,
        "heads": plain(heads),
        "gating": plain(gating),
        "suites": {suite: plain(replace(one, missing_rows=())) for suite, one in suites.items()},
    }
    largest: list[float] = []

    def checked(folder: Path) -> None:
        if check:
            # Not bound to a name: its memory is needed for the folder's model.
            expected = RewardModel.of_parts(folder, config, parts, backbone, recipe.backbone, recipe.extract).score(
                CONVERSATIONS
            )
            largest.append(check_folder(folder, expected, recipe.backbone.dtype, choose_device(recipe.extract.device)))

    size = write_folder(out, Exported(backbone, config, parts, provenance, card), weights, checked)
    return ExportResult(
        folder=str(out),
        bytes=size,
        uncertainty_bytes=None if parts.uncertainty is None else uncertainty_bytes(parts.uncertainty),
        weights=weights,
        objectives=config.objectives,
        verbosity=config.verbosity,
        profiles=tuple(each.name for each in config.profiles),
        suites=tuple(suites),
        largest_difference=largest[0] if largest else None,
        seconds=time.monotonic() - started,
    )


def _table(suite: "Suite") -> "CardTable":
    """A suite's results as the model card shows them."""
    from evaluation.numbers import percent
    from export.model_card import SHOWN, CardTable
    from gating.rules import RULES

    shown = {rule: suite.rules[rule] for rule in SHOWN if rule in suite.rules}
    sections = list(dict.fromkeys(section for scored in shown.values() for section in scored.sections))
    lines = (
        (RULES[rule].title, percent(scored.score), *(percent(scored.sections.get(section)) for section in sections))
        for rule, scored in shown.items()
    )
    return CardTable(suite.title, suite.rows, ("score", *sections), tuple(lines))


def show(result: "ExportResult") -> None:
    """Print where the folder is, and how well it agrees with the pipeline."""
    out = console()
    how = {"copy": "with its weights", "link": "with links to the backbone's weights"}[result.weights]
    out.print(f"{result.folder}: {how}, {result.bytes / 1e6:,.1f} MB, {len(result.objectives)} objectives")
    if result.uncertainty_bytes is not None:
        out.print(f"of this {result.uncertainty_bytes / 1e6:,.1f} MB for standard errors (--without-uncertainty)")
    if result.profiles:
        out.print(f"profiles that requests can name: {', '.join(result.profiles)}", highlight=False)
    if result.largest_difference is not None:
        out.print(
            f"loaded with transformers, it scores as the pipeline does (largest difference"
            f" {result.largest_difference:.1e} of a score's terms)"
        )
