"""Everything that is wrong in a recipe is said at once, each with the line on which it stands."""

from pathlib import Path

import pytest

from cache import UserError
from pipelines.recipe import read_recipe
from pipelines.recipe_lines import Key, line_of

TEXT = '''name = "mine"
note = """
[backbone]
name = 1
"""
backbone.model = "org/name"
gate = { steps = 10, seed = 1 }

[[ratings]]
source = "helpsteer"
[ratings.scales]
"helpsteer-verbosity" = { low = 0, high = 4 }   # """
  [[ratings]]
  source = "beavertails"
  limit = 5
  [ ratings . columns ]
  is_safe = "safe"

[debiasing]
reference = [
  "a",
  "b",
]
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 1),
        (("note",), 2),
        (("backbone", "model"), 6),
        (("gate", "seed"), 7),
        (("ratings", 0), 9),
        (("ratings", 0, "scales", "helpsteer-verbosity", "low"), 12),
        (("ratings", 1, "source"), 14),
        (("ratings", 1, "columns", "is_safe"), 17),
        (("ratings", 1, "nothing"), 13),
        (("debiasing", "reference", 1), 20),
        (("nothing",), None),
    ],
)
def test_a_key_has_its_line(key: Key, line: int | None) -> None:
    assert line_of(TEXT.replace('   # """', ""), key) == line


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[backbone]\nmodle = "x"\n[gate]\nsteps = 0\n[[pairs]]\nsource = "shp"\n')
    with pytest.raises(UserError) as refused:
        read_recipe(path)
    assert str(refused.value).splitlines() == [
        f"3 things are wrong in {path}:",
        "  line 2: the key backbone.model is missing: add it",
        "  line 3: unknown key backbone.modle: is 'model' meant? Correct it, or take it out",
        "  line 5: gate.steps: Input should be greater than or equal to 1, given 0",
    ]


def test_keys_that_do_not_fit_each_other_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\n[backbone]\nmodel = "org/name"\n[[ratings]]\nsource = "helpsteer"\n[[pairs]]\nsource = "shp"\n'
        "[gate]\nmargin = { nothing = 1 }\n[heads]\nlayer = 3\ndataset_weights = { other = 2 }\n"
    )
    with pytest.raises(UserError) as refused:
        read_recipe(path)
    assert str(refused.value).splitlines() == [
        f"3 things are wrong in {path}:",
        "  line 9: gate.margin names 'nothing', which is unknown: name one of shp",
        "  line 11: heads.layer is 3, and backbone.layers names 1: count from 0, to 0",
        "  line 12: heads.dataset_weights names 'other', which is unknown: name one of helpsteer",
    ]


def test_one_mistake_is_one_line_that_an_editor_can_open(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[backbone]\nmodel = "org/name"\n[[pairs]]\nsource = "helpsteer"\n')
    with pytest.raises(UserError) as refused:
        read_recipe(path)
    assert str(refused.value).startswith(f"{path}:5: [[pairs]] source = 'helpsteer' is no source of pairs: name ")


def test_a_recipe_without_anything_to_learn_from_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[backbone]\nmodel = "org/name"\n[debiasing]\nverbosity = "none"\n')
    with pytest.raises(UserError, match=r"has neither \[\[ratings\]\] nor \[\[pairs\]\]: add a set"):
        read_recipe(path)
