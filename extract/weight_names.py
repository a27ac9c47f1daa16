"""Names of the decoder's weights in folders of reward models that an earlier version wrote."""

import json
from pathlib import Path

from transformers import MODEL_MAPPING
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from extract.stored_weights import INDEX

HEADS = "regression_layer.weight"
"""A tensor that only a reward model's folder has."""


def renamed_weights(folder: Path, family: str) -> dict[str, str] | None:
    """Pattern -> replacement for the names of the weights, as transformers' `key_mapping`; None: they stay.

    Version 0.1 exported the weights of every family below `model.`, where transformers looks only for families whose
    own prefix it is.
    """
    try:
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        prefix = MODEL_MAPPING[CONFIG_MAPPING[family]].base_model_prefix
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a file of another kind, which loading itself reports
    if HEADS not in names or prefix == "model" or any(name.startswith(f"{prefix}.") for name in names):
        return None
    return {r"^model\.": ""}
