"""Where a recipe's objectives come from: what is refused when it is read, and what its defaults are."""

from pathlib import Path

import pytest

from cache import UserError
from extract.sources import SOURCES
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.recipe import Recipe, read_recipe

PAIRS = """
name = "mine"
backbone = { model = "org/tiny" }
pairs = [{ source = "hh_rlhf" }]
"""
NO_VERBOSITY = 'debiasing = { verbosity = "none" }\n'
RATED = 'ratings = [{ source = "helpsteer" }]\n'


def read(folder: Path, text: str) -> Recipe:
    path = folder / "mine.toml"
    path.write_text(PAIRS + text)
    return read_recipe(path)


@pytest.mark.parametrize(
    ("heads", "names"),
    [
        ("", ("preference",)),
        ("heads = { directions = 2 }", ("direction-1", "direction-2")),
        ('heads = { from = "runs/other" }', None),
    ],
)
def test_without_ratings_the_objectives_follow_from_heads(
    tmp_path: Path, heads: str, names: tuple[str, ...] | None
) -> None:
    recipe = read(tmp_path, NO_VERBOSITY + heads)
    assert recipe.objective_names == names
    assert recipe.objectives == ()
    assert recipe.scales == {}


@pytest.mark.parametrize("source", [name for name, source in SOURCES.items() if source.kind == "ratings"])
def test_the_default_objectives_are_the_published_ones_that_the_rating_sets_rate(tmp_path: Path, source: str) -> None:
    recipe = read(tmp_path, NO_VERBOSITY + f'ratings = [{{ source = "{source}" }}]')
    rated = SOURCES[source].objectives
    expected = [each for each in PUBLISHED_OBJECTIVES if each.name in rated or not rated]
    assert list(recipe.objectives) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "debiasing.verbosity is missing: .*set it to 'response_tokens' .* or 'none'"),
        (
            'debiasing = { verbosity = "longness" }\nheads = { directions = 2 }',
            "debiasing.verbosity names 'longness', which is unknown: name one of .*'none', direction-1, direction-2",
        ),
        (
            NO_VERBOSITY + 'objectives = [{ name = "x", low = 0, high = 1 }]',
            r"objectives: no rating set rates them: add \[\[ratings\]\]",
        ),
        (NO_VERBOSITY + 'heads = { from = "a", directions = 2 }', "heads: give either from or directions"),
        (NO_VERBOSITY + 'heads = { from = "a", layer = 0 }', "heads: layer has no meaning with from"),
        (NO_VERBOSITY + 'heads = { from = "" }', "heads.from: .*at least 1 character"),
        (NO_VERBOSITY + "heads = { directions = 0 }", "heads.directions: .*given 0"),
        (NO_VERBOSITY + 'heads = { taken_from = "a" }', "unknown key heads.taken_from"),
        (NO_VERBOSITY + "heads = { alphas = [1.0] }", "heads.alphas is for heads that are fitted on ratings"),
        (
            NO_VERBOSITY + "heads = { dataset_weights = { x = 2.0 } }",
            "names 'x', which is unknown: take it out, for there",
        ),
        (NO_VERBOSITY + "heads = { minimum_rows = 30 }", "heads.minimum_rows is for heads that are fitted on ratings"),
        (NO_VERBOSITY + 'other_heads = { fit = ["ordinal"] }', "'ordinal' is fitted on ratings"),
        (RATED + "heads = { directions = 2 }", r"heads.directions is for a recipe without \[\[ratings\]\]"),
        (RATED + 'heads = { from = "runs/x" }', r"heads.from is for a recipe without \[\[ratings\]\]"),
        (RATED + "objectives = []", "objectives: there is none"),
        (
            RATED + NO_VERBOSITY + 'objectives = [{ name = "beavertails-is_safe", low = 0, high = 1 }]',
            "objectives names 'beavertails-is_safe', which no rating set rates: .*helpsteer rate helpsteer-coherence",
        ),
        (
            'ratings = [{ source = "beavertails" }]',
            "debiasing.verbosity names 'helpsteer-verbosity', which is unknown: .* 'code_fences', 'none', beav",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_before_any_row_is_read(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, text)


def test_heads_that_need_pairs_alone_may_be_compared(tmp_path: Path) -> None:
    assert read(tmp_path, NO_VERBOSITY + 'other_heads = { fit = ["slic"] }').other_heads.fit == ("slic",)
