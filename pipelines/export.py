"""`armorm export`: a run's reward model as a folder that transformers loads by itself."""

import logging
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.agreement import CONVERSATIONS, check_folder
from export.folder import Exported, write_folder
from export.model_card import model_card
from export.reward_config import RewardConfig
from export.reward_heads import RewardHeads
from export.reward_model import RewardModel
from export.turns import TurnMarkers
from export.weights import Weights
from extract.backbone import Backbone, find_backbone
from extract.engines.choice import choose_device
from extract.engines.sequential import SequentialEngine
from extract.templating import ConversationEncoder
from gating.settings import RESPONSE_TOKENS
from heads.objectives import Scale
from pipelines.artefacts import open_run, read_json
from pipelines.explain import refuse_another_backbone
from pipelines.fitted_model import FittedModel
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
    fitted = FittedModel.read(recipe)
    backbone = find_backbone(recipe.backbone)
    refuse_another_backbone(recipe, backbone, store.fingerprint)
    heads = _heads(fitted)
    config = _config(recipe, fitted, backbone, run["fingerprint"])
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
    card = model_card(recipe.name, recipe.note, name, config, measured)
    largest: list[float] = []

    def checked(folder: Path) -> None:
        if check:
            largest.append(_difference(recipe, folder, config, heads, backbone))

    size = write_folder(out, Exported(backbone, config, heads, provenance, card), weights, checked)
    return {
        "folder": str(out),
        "bytes": size,
        "weights": weights,
        "objectives": list(config.objectives),
        "verbosity": config.verbosity,
        "suites": list(measured["suites"]),
        "largest_difference": largest[0] if largest else None,
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "seconds": time.monotonic() - started,
    }


def _heads(fitted: FittedModel) -> RewardHeads:
    """The fitted parts with lambda as a matrix on rewards, or, for a measured length, as a term beside it."""
    objectives = fitted.heads.objectives
    transform = np.eye(len(objectives))  # (k, k)
    penalty: NDArray[np.float64] | None = None
    if fitted.verbosity == RESPONSE_TOKENS:
        penalty = fitted.lambdas
    elif fitted.verbosity in objectives:
        transform[objectives.index(fitted.verbosity)] -= fitted.lambdas
    return RewardHeads(fitted.heads.weight, transform, penalty, fitted.gate)


def _config(recipe: Recipe, fitted: FittedModel, backbone: Backbone, fingerprint: str) -> RewardConfig:
    scales = {own.name: Scale(low=own.low, high=own.high, rule=own.rule) for own in recipe.objectives}
    encoder = ConversationEncoder(backbone.tokenizer, recipe.backbone, backbone.vocabulary)
    markers = TurnMarkers.of(encoder, recipe.backbone.position)
    return RewardConfig(
        objectives=fitted.heads.objectives,
        scales={name: scales[name] for name in fitted.heads.objectives},
        verbosity=fitted.verbosity,
        layers=recipe.backbone.layers,
        position=recipe.backbone.position,
        special_tokens_in_text=recipe.backbone.special_tokens_in_text,
        max_tokens=recipe.backbone.max_tokens,
        dtype=recipe.backbone.dtype,
        prompt_end=markers.prompt_end,
        prompt_end_offset=markers.offset,
        trailing=markers.trailing,
        backbone=backbone.identity,
        fingerprint=fingerprint,
        recipe=recipe.digest,
    )


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


def _difference(recipe: Recipe, folder: Path, config: RewardConfig, heads: RewardHeads, backbone: Backbone) -> float:
    """How far the written folder's scores are from those of the parts it was made of."""
    device = choose_device(recipe.extract.device)
    settings = recipe.backbone
    engine = SequentialEngine(backbone, settings, recipe.extract, device)
    parts = RewardModel(folder, config, heads, backbone, settings, engine, recipe.extract.pack_tokens)
    return check_folder(folder, parts.score(CONVERSATIONS), settings.dtype, device)
