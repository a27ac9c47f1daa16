"""A run of some dozen packs on the bundled backbone, for the tests that stop one on its way."""

import json
from pathlib import Path

import numpy as np

from cache import FeatureStore
from cache.progress import silent
from cache.worker import ALONE, Worker
from pipelines.commands.extract import extract
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY, WORDS

SHARD_ROWS = 40
"""Rows of a shard, at least: those of four packs or five."""

RECIPE = """
name = "small"
runs = "{folder}/runs"
debiasing = {{ verbosity = "response_tokens" }}
backbone = {{ model = "{tiny}", dtype = "float32", max_tokens = 256 }}
extract = {{ pack_tokens = 256 }}
store = {{ root = "{folder}/features", shard_rows = {shard_rows} }}
objectives = [{{ name = "polite", low = 1, high = 7 }}]
ratings = [{{ source = "multi_objective", path = "{folder}/rated.jsonl" }}]
[[pairs]]
source = "derived"
name = "pairs"
ratings = "multi_objective"
by = {{ polite = 1.0 }}
"""


def small_run(folder: Path, prompts: int = 60) -> Path:
    """Write rows and a recipe into `folder`, which may be new; the recipe."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "prompt": f"Question {prompt}: " + " ".join(rng.choice(WORDS, 5)),
            "response": " ".join(rng.choice(WORDS, rng.integers(2, 30))),
            "polite": int(rng.integers(1, 8)),
        }
        for prompt in range(prompts)
        for _ in range(3)
    ]
    (folder / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "small.toml"
    path.write_text(RECIPE.format(folder=folder, tiny=TINY, shard_rows=SHARD_ROWS))
    return path


def run_here(recipe: Path, worker: Worker = ALONE) -> int:
    """Extract in this process; the number of features computed."""
    return extract(Run(read_recipe(recipe)), worker=worker, progress=silent).features_new


def store_of(recipe: Path) -> FeatureStore:
    """The run's only store."""
    root = recipe.parent / "features"
    (folder,) = (path.parent for path in root.glob("*/store.json"))
    return FeatureStore.open(root, folder.name)
