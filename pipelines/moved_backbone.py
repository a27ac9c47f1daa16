"""A backbone that was moved: another folder in the recipe, the same weights in it.

Stamps hold the recipe's settings, and so a new folder would put everything out of date, though the digest of the
weights says that not a feature would differ. Where it does, stamps go on with the name that the extraction knew.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cache import FeatureStore, UserError
from extract.settings import BackboneSettings
from pipelines.earlier_extract import EarlierExtract
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

NAMES = ("model", "revision")
"""Keys of `[backbone]` that say where it is, and nothing about what it computes."""


def names_of(settings: Mapping[str, Any]) -> dict[str, str | None]:
    """Where a recipe says that its backbone is.

    Args:
        settings: the recipe as plain values, paths as written.
    """
    return {key: settings["backbone"][key] for key in NAMES}


def stamped(settings: dict[str, Any], recipe: Recipe, earlier: EarlierExtract | None) -> dict[str, Any]:
    """The settings as stamps take them: those of the recipe, with the backbone's name at the extraction if it moved.

    Only a local folder is looked at: its weights are read once, and nothing is fetched.

    Args:
        settings: the recipe as plain values, paths as written.
        recipe: with its paths as this process opens them.
        earlier: what extract.json says; None if there is none.
    """
    if earlier is None or not earlier.backbone or names_of(settings) == earlier.backbone:
        return settings
    if not _is_the_same(recipe.backbone, recipe, earlier):
        return settings
    log.info("the backbone in %s is the one that features were read from, moved", recipe.backbone.model)
    return settings | {"backbone": settings["backbone"] | earlier.backbone}


def _is_the_same(settings: BackboneSettings, recipe: Recipe, earlier: EarlierExtract) -> bool:
    from extract.model_files import is_model

    if not is_model(Path(settings.model), settings.gguf_file):
        return False
    from extract.backbone import find_backbone

    try:
        stored = FeatureStore.open(recipe.store.root, earlier.fingerprint).fingerprint
        backbone = find_backbone(settings)
    except UserError:  # whoever needs it says so
        return False
    return not stored.differences(backbone.fingerprint(settings, recipe.store.dtype, stored.engine))
