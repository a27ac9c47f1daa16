"""Which split a prompt belongs to: a function of the prompt alone.

By prompt and not by row, or else one prompt's responses would be on both sides (as in the reference
code); by hash and not by order, so that a data set added later moves no prompt.
"""

import hashlib
from collections.abc import Collection, Mapping

import polars as pl

from cache import UserError
from extract.settings import SplitSettings

SEEDS = 10_000
"""Seeds that are tried where one holds out nothing; of two prompts, half of the seeds divide them."""


def split_of(prompt_key: bytes, settings: SplitSettings) -> str:
    """'validation' for the fraction `settings.validation` of all prompts, 'train' for the others."""
    digest = hashlib.blake2b(prompt_key, digest_size=8, key=settings.seed.to_bytes(8, "little", signed=True)).digest()
    return "validation" if int.from_bytes(digest, "little") < settings.validation * 2**64 else "train"


def refuse_undivided(tables: Mapping[str, pl.DataFrame], settings: SplitSettings) -> None:
    """Refuse few prompts that a seed leaves all on one side, before the pass rather than after it.

    Args:
        tables: what they hold -> rows with the columns prompt_key and split; an empty table is not looked at.
        settings: the fraction and the seed.

    Raises:
        UserError: all rows of a table are on one side; the sentence names a seed that divides every table.
    """
    rows = {what: table for what, table in tables.items() if len(table)}
    for what, table in rows.items():
        sides = table["split"].unique().to_list()
        if len(sides) > 1:
            continue
        prompts = [set(each["prompt_key"].to_list()) for each in rows.values()]
        seed = dividing_seed(prompts, settings)
        where = "held out" if sides == ["validation"] else "learned from"
        raise UserError(
            f"split.seed = {settings.seed} leaves all prompts of the {what} on one side, to be {where}: "
            + ("add prompts, for there is only one" if seed is None else f"set split.seed = {seed}")
        )


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
