"""`armorm export`: a run's reward model as a folder that transformers loads by itself."""

import logging
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from export.agreement import CONVERSATIONS, check_folder
from export.folder import Exported, write_folder
from export.model_card import SHOWN, CardTable, model_card
from export.results import ExportResult
from export.reward_config import run_config
from export.reward_model import RewardModel
from export.weights import Weights
from extract.backbone import find_backbone
from extract.engines.choice import choose_device
from gating.results import Gating
from gating.rules import RULES
from heads.objectives import Scale
from heads.results import Heads
from pipelines.artefacts import open_run, read_json
from pipelines.explain import refuse_another_backbone
from pipelines.fitted_model import read_fitted_rules
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

PACKAGES = ("armorm", "torch", "transformers")
"""Whose versions the provenance names."""


def export(recipe: Recipe, out: Path, *, weights: Weights, check: bool) -> dict[str, Any]:
    """Write the folder.

    Args:
        recipe: whose run was extracted, fitted and trained.
        out: the folder.
        weights: whether the backbone's are copied or linked.
        check: whether to load the folder and compare its scores with those of the parts.

    Returns:
        `folder`, `bytes` of the weights, `objectives`, `largest_difference` of the check (None without), `seconds`.

    Raises:
        UserError: an earlier command is missing, `out` holds something else, or the check fails.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    parts = read_fitted_rules(recipe).parts
    backbone = find_backbone(recipe.backbone)
    refuse_another_backbone(recipe, backbone, store.fingerprint)
    scales = {each.name: Scale(low=each.low, high=each.high, rule=each.rule) for each in recipe.objectives}
    config = run_config(parts, scales, recipe.backbone, backbone, fingerprint=run["fingerprint"], recipe=recipe.digest)
    measured = _measured(recipe, run["fingerprint"])
    provenance = {
        "recipe": recipe.model_dump(mode="json"),
        "fingerprint": asdict(store.fingerprint),
        "versions": {package: version(package) for package in PACKAGES},
        "datasets": run["datasets"],
        "revisions": run["revisions"],
        **measured,
    }
    local = backbone.folder == Path(recipe.backbone.model)
    name = backbone.folder.resolve().name if local else recipe.backbone.model
    card = model_card(
        recipe.name,
        recipe.note,
        name,
        config,
        TypeAdapter(Heads).validate_python(measured["heads"]),
        TypeAdapter(Gating).validate_python(measured["gating"]),
        [_card_table(suite) for suite in measured["suites"].values()],
    )
    largest: list[float] = []

    def checked(folder: Path) -> None:
        if check:
            model = RewardModel.of_parts(folder, config, parts, backbone, recipe.backbone, recipe.extract)
            device = choose_device(recipe.extract.device)
            largest.append(check_folder(folder, model.score(CONVERSATIONS), recipe.backbone.dtype, device))

    size = write_folder(out, Exported(backbone, config, parts, provenance, card), weights, checked)
    result = ExportResult(
        folder=str(out),
        bytes=size,
        weights=weights,
        objectives=config.objectives,
        verbosity=config.verbosity,
        suites=tuple(measured["suites"]),
        largest_difference=largest[0] if largest else None,
        seconds=time.monotonic() - started,
    )
    return asdict(result) | {"fingerprint": run["fingerprint"], "recipe": recipe.digest}


def _measured(recipe: Recipe, fingerprint: str) -> dict[str, Any]:
    """What the run's reports say of these heads and this gate; reports of other settings are left out, and named."""
    suites = {}
    for path in sorted(recipe.folder.glob("*.json")):
        report = read_json(path, "eval")
        if report.get("suite") != path.stem:  # not what `eval` writes
            continue
        if report.get("fingerprint") == fingerprint and report.get("recipe") == recipe.digest:
            suites[report["suite"]] = {key: value for key, value in report.items() if key != "missing_rows"}
        else:
            log.warning("%s is of other settings, and not in the model card: run `armorm eval` again", path)
    return {
        "heads": read_json(recipe.folder / "heads.json", "fit-heads"),
        "gating": read_json(recipe.folder / "gating.json", "train-gating"),
        "suites": suites,
    }


def _card_table(suite: dict[str, Any]) -> CardTable:
    """A suite's results as the model card shows them."""
    shown = {rule: suite["rules"][rule] for rule in SHOWN if rule in suite["rules"]}
    sections = list(dict.fromkeys(section for rule in shown.values() for section in rule["sections"]))
    return CardTable(
        suite.get("title", suite["suite"]),
        suite["rows"],
        ("score", *sections),
        tuple(
            (
                RULES[rule].title,
                _percent(scored["score"]),
                *(_percent(scored["sections"].get(section)) for section in sections),
            )
            for rule, scored in shown.items()
        ),
    )


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f}"
