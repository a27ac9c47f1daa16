"""A reward model's folder by its config.json alone: what a command looks at before it imports torch or transformers."""

import json
from pathlib import Path
from typing import Any

from cache import UserError
from cache.errors import refusing

REMEDY = "export or fetch the folder again"

PUBLISHED_NUMBERS = {
    "num_objectives": "objectives",
    "gating_temperature": "temperature",
    "gating_hidden_dim": "hidden_size",
    "gating_n_hidden": "hidden_layers",
}
"""The published checkpoint's keys -> those of this project."""


def config_values(folder: Path) -> dict[str, Any]:
    """The values of config.json in an exported folder, or in the published checkpoint's.

    Raises:
        UserError: the file is missing, damaged, or not that of a reward model of this kind.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"there is no {path}: name a folder that `armorm export` wrote")
    with refusing(f"{path} is damaged", REMEDY):
        values = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in PUBLISHED_NUMBERS if not isinstance(values, dict) or key not in values]
    if missing:
        raise UserError(
            f"{path} is not that of an ArmoRM reward model, for it has no {missing[0]}: name a folder that"
            " `armorm export` wrote, or the published checkpoint's"
        )
    return dict(values)
