"""Runs of a few pairs on the bundled backbone: one with ratings, and recipes without, on the same features."""

import json
from pathlib import Path

import numpy as np

from cache.progress import silent
from pipelines.commands.extract import extract
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY, WORDS

BACKBONE = f'model = "{TINY}", dtype = "float32", max_tokens = 256'

HEAD = """
name = "{name}"
runs = "{folder}/runs"
backbone = {{ {backbone} }}
extract = {{ pack_tokens = 256 }}
store = {{ root = "{folder}/features" }}
split = {{ validation = 0.3 }}
gate = {{ hidden_size = 8, steps = 20 }}
suites = [{{ source = "preference_suite", path = "{folder}/suite.jsonl" }}]
pairs = [{{ source = "preference", path = "{folder}/pairs.jsonl" }}]
"""

WITHOUT = """
debiasing = {{ verbosity = "{verbosity}" }}
heads = {{ {heads} }}
"""

RATED = """
debiasing = { verbosity = "long" }
heads = { alphas = [1.0, 100.0], minimum_rows = 5 }
objectives = [{ name = "polite", low = 1, high = 7 }, { name = "long", low = 0, high = 10, rule = "linear" }]
[[ratings]]
source = "multi_objective"
path = "FOLDER/rated.jsonl"
"""


def write_rows(folder: Path, prompts: int = 40) -> None:
    """Pairs whose chosen responses say "wise" more often, their ratings, and a suite."""
    rng = np.random.default_rng(0)
    pairs, rated = [], []
    for number in range(prompts):
        prompt = f"Question {number}: " + " ".join(rng.choice(WORDS, 5))
        sides = [" ".join([*rng.choice(WORDS, rng.integers(2, 12)), *[word] * 3]) for word in ("wise", "lazy")]
        pairs.append({"prompt": prompt, "chosen": sides[0], "rejected": sides[1]})
        rated += [
            {"prompt": prompt, "response": side, "polite": polite, "long": min(10, len(side.split()) - 2)}
            for side, polite in zip(sides, rng.integers([4, 1], [8, 5]).tolist(), strict=True)
        ]
    for name, rows in (("pairs", pairs), ("rated", rated), ("suite", pairs[:6])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_of(folder: Path, name: str, text: str, backbone: str = BACKBONE) -> Run:
    """The run of a recipe whose file is written here."""
    path = folder / f"{name}.toml"
    path.write_text(HEAD.format(name=name, folder=folder, backbone=backbone) + text)
    return Run(read_recipe(path))


def rated_run(folder: Path) -> Run:
    """The run of the recipe with ratings."""
    return run_of(folder, "rated", RATED.replace("FOLDER", str(folder)))


def unrated_run(
    folder: Path, name: str, heads: str = "", verbosity: str = "response_tokens", backbone: str = BACKBONE
) -> Run:
    """The run of a recipe without ratings, with these keys of `[heads]`."""
    return run_of(folder, name, WITHOUT.format(heads=heads, verbosity=verbosity), backbone)


def extracted(run: Run, limit: int | None = None) -> Run:
    """The run after `extract`."""
    extract(run, limit=limit, progress=silent)
    return run
