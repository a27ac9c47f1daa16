"""A seed that leaves few prompts all on one side is named before the pass, with one that divides them."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.settings import SplitSettings
from extract.splits import dividing_seed, split_of, undivided

SETTINGS = SplitSettings(validation=0.2)


def table(prompts: list[bytes], settings: SplitSettings) -> pl.DataFrame:
    return pl.DataFrame({"prompt_key": prompts, "split": [split_of(prompt, settings) for prompt in prompts]})


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=40, unique=True))
def test_a_dividing_seed_holds_out_as_many_as_the_fraction_says(prompts: list[bytes]) -> None:
    seed = dividing_seed([prompts], SETTINGS)
    assert seed is not None
    sides = table(prompts, SETTINGS.model_copy(update={"seed": seed}))["split"].to_list()
    assert sides.count("validation") == max(1, round(0.2 * len(prompts)))


def test_what_is_on_one_side_is_named_and_the_seed_mends_it() -> None:
    prompts = [bytes([number]) * 16 for number in range(3)]
    tried = (SplitSettings(validation=0.2, seed=seed) for seed in range(99))
    settings = next(one for one in tried if table(prompts, one)["split"].n_unique() == 1)
    (sentence,) = undivided({"ratings": table(prompts, settings), "pairs": table([], settings)}, settings)
    found = re.fullmatch(
        rf"split\.seed = {settings.seed} leaves all prompts of the ratings on one side \((\w+)\), and a fit"
        r" needs both: set split\.seed = (\d+)",
        sentence,
    )
    assert found is not None
    mended = settings.model_copy(update={"seed": int(found[2])})
    assert undivided({"ratings": table(prompts, mended)}, mended) == []


@pytest.mark.parametrize("rows", [1, 4])
def test_one_prompt_cannot_be_divided(rows: int) -> None:
    (sentence,) = undivided({"pairs": table([b"p" * 16] * rows, SETTINGS)}, SETTINGS)
    assert sentence.endswith("add prompts, for there is only one")
