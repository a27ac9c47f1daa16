"""Writing the whole demo corpus into one folder: completely or not at all."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

from cache.errors import UserError
from demo_corpus import suites
from demo_corpus.files import Files
from demo_corpus.pair_sets import PAIR_SETS
from demo_corpus.pool import Pool, training_cases
from demo_corpus.rating_sets import RATING_SETS
from demo_corpus.truth import SCHEMA, Truth

VERSION = 1
"""Number that rises with every change of the rows of a seed and scale."""
LARGEST_SCALE = 3.0
"""Largest scale for which the templates have enough distinct prompts."""
README = """# Demo corpus

Every row in this folder is **self-made**: composed from templates by `demo_corpus` with a seed. None comes
from the data sets whose folder names and file formats are used here; the names are used so that the same
readers read these rows and the real ones. Nothing measured on them says anything about real data.

- `<organisation>/<name>/<file>`: rows in the official raw schema of that data set
- `planted.parquet`: for every response what was planted in it (kind of prompt, qualities, flaw, preference)
- `manifest.json`: rows of each file, and the rows that are imperfect on purpose
- `settings.json`: version, seed and scale that made this folder
"""


def write(out: Path, scale: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Write the corpus to `out`, or return at once if it is there already.

    Args:
        out: folder to create; the unfinished corpus is a sibling of it.
        scale: size relative to the default of about 3,400 rated responses.
        seed: the same seed gives the same bytes.

    Returns:
        The manifest: `files` (file -> number of rows), `imperfect` (rows that are wrong on purpose), and the numbers
        of distinct texts, `prompts`, `responses` and `suite_prompts`.

    Raises:
        UserError: `out` exists and was not made with these settings, or the scale cannot be had.
    """
    if not 0 < scale <= LARGEST_SCALE:
        raise UserError(f"The scale of the demo corpus is {scale}; give one above 0 and up to {LARGEST_SCALE}.")
    settings = {"version": VERSION, "seed": seed, "scale": scale}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _existing(out, settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.unfinished-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        manifest = _write_all(unfinished, scale, seed)
        (unfinished / "README.md").write_text(README, encoding="utf-8")
        (unfinished / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (unfinished / "settings.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
        unfinished.replace(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _existing(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a folder with the same settings; any other folder is refused."""
    remedy = "remove it or name another folder"
    try:
        found = json.loads((out / "settings.json").read_text(encoding="utf-8"))
        manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"The folder {out} exists and is no demo corpus; {remedy}.") from None
    if found != settings:
        raise UserError(f"The folder {out} holds a demo corpus made with {found}, not {settings}; {remedy}.")
    return manifest


def _write_all(root: Path, scale: float, seed: int) -> dict[str, Any]:
    """Write all files below `root` and return the manifest."""
    root.mkdir(parents=True)
    files, truth = Files(root), Truth()
    pool = Pool(random.Random(f"{seed} prompts"))
    cases = training_cases(pool.rng, pool, scale)
    for write_set in (*RATING_SETS, *PAIR_SETS):
        # one generator for each set, so that a change to one leaves the rows of the others as they are
        write_set(cases, files, truth, random.Random(f"{seed} {write_set.__name__}"))
    trained = len({row["prompt"] for row in truth.rows.values()})
    suites.rewardbench(pool, files, truth, scale)
    suites.prior_sets(pool, files, truth, scale)
    rows = list(truth.rows.values())
    files.parquet("planted.parquet", [(row, None) for row in rows], SCHEMA)
    return {
        "files": files.rows,
        "imperfect": files.imperfect,
        "prompts": trained,
        "suite_prompts": len({row["prompt"] for row in rows}) - trained,
        "responses": len({(row["prompt"], str(row["turns"]), row["response"]) for row in rows}),
    }
