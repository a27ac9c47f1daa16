"""Which split a prompt belongs to: a function of the prompt alone.

By prompt and not by row, or else one prompt's responses would be on both sides (as in the reference
code); by hash and not by order, so that a data set added later moves no prompt.
"""

import hashlib
from collections.abc import Collection, Mapping

import polars as pl

from extract.settings import SplitSettings

SEEDS = 10_000
"""Seeds that are tried where one holds out nothing; of two prompts, half of the seeds divide them."""


def split_of(prompt_key: bytes, settings: SplitSettings) -> str:
    """'validation' for the fraction `settings.validation` of all prompts, 'train' for the others."""
    digest = hashlib.blake2b(prompt_key, digest_size=8, key=settings.seed.to_bytes(8, "little", signed=True)).digest()
    return "validation" if int.from_bytes(digest, "little") < settings.validation * 2**64 else "train"


def undivided(tables: Mapping[str, pl.DataFrame], settings: SplitSettings) -> list[str]:
    """Sentences about few prompts that a seed leaves all on one side, with a seed that divides every table.

    Args:
        tables: what they hold -> rows with the columns prompt_key and split; an empty table is not looked at.
        settings: the fraction and the seed.
    """
    rows = {what: table for what, table in tables.items() if len(table)}
    on_one_side = {what: table["split"][0] for what, table in rows.items() if table["split"].n_unique() == 1}
    if not on_one_side:
        return []
    seed = dividing_seed([set(table["prompt_key"].to_list()) for table in rows.values()], settings)
    remedy = "add prompts, for there is only one" if seed is None else f"set split.seed = {seed}"
    return [
        f"split.seed = {settings.seed} leaves all prompts of the {what} on one side ({side}), and a fit needs both:"
        f" {remedy}"
        for what, side in on_one_side.items()
    ]


def dividing_seed(groups: Collection[Collection[bytes]], settings: SplitSettings) -> int | None:
    """The first seed that holds out as many prompts as the fraction says, and some but not all of each group.

    Args:
        groups: keys of prompts that need both sides.
        settings: the fraction.

    Returns:
        None if there is no such seed, as for a single prompt.
    """
    prompts = {key for group in groups for key in group}
    wanted = max(1, round(settings.validation * len(prompts)))
    for seed in range(SEEDS):
        tried = settings.model_copy(update={"seed": seed})
        held_out = {key for key in prompts if split_of(key, tried) == "validation"}
        if len(held_out) == wanted and all(0 < len(held_out & set(group)) < len(group) for group in groups):
            return seed
    return None
