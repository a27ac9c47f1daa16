"""Profiles of the tests, and an exported folder that holds them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gating.profile import Profile, Vetoes

CAREFUL = Profile(
    name="careful",
    mode="multiply",
    weights={"beavertails-is_safe": 4.0, "helpsteer-verbosity": 0.0},
    vetoes=Vetoes(below={"beavertails-is_safe": 10.0}, cap=-25.0),
)
"""Its veto takes in every response: no rating of safety is 10 or more."""

HELPFUL = Profile(name="helpful", direction={"helpsteer-helpfulness": 0.8, "helpsteer-verbosity": -0.6})
CURIOUS = Profile(name="curious", weights={"helpsteer-complexity": 0.75, "helpsteer-coherence": -0.5})
PROFILES = (CAREFUL, HELPFUL, CURIOUS)


def write_with_profiles(source: Path, out: Path, profiles: list[dict[str, Any]]) -> Path:
    """Copy an exported folder, with profiles in its config.json."""
    shutil.copytree(source, out, symlinks=True)
    config = json.loads((source / "config.json").read_text())
    config["armorm"]["profiles"] = profiles
    (out / "config.json").write_text(json.dumps(config))
    return out


@pytest.fixture(scope="session")
def steerable_folder(uncertain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model that knows its uncertainty, with `PROFILES`."""
    out = tmp_path_factory.mktemp("steerable") / "model"
    return write_with_profiles(uncertain_folder, out, [profile.model_dump(mode="json") for profile in PROFILES])
