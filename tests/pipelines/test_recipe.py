"""A recipe is checked key by key; a mistake is one sentence that names the key."""

from pathlib import Path

import pytest

from cache import UserError
from extract.sources import SOURCES
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.recipe import read_recipe
from pipelines.run import Run

ROOT = Path(__file__).parents[2]

GOOD = """
name = "mine"
[backbone]
model = "org/tiny"
[[ratings]]
source = "helpsteer"
[[pairs]]
source = "hh_rlhf"
[[suites]]
source = "reward_bench"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_is_sound_and_named_after_its_file(path: Path) -> None:
    assert read_recipe(path).name == path.stem


def test_the_published_recipe_has_the_nineteen_objectives_all_eight_rating_sets_and_the_suite() -> None:
    recipe = read_recipe(ROOT / "recipes" / "armorm-llama3-8b.toml")
    assert recipe.objectives == PUBLISHED_OBJECTIVES
    assert len(recipe.ratings) == 8
    suites = {name for name, source in SOURCES.items() if source.kind == "suite"}
    assert {suite.source for suite in recipe.suites} == suites - {"preference_suite"}


@pytest.mark.parametrize("name", ["helpsteer2", "helpsteer3", "skywork-80k"])
def test_the_presets_have_the_five_objectives_that_their_ratings_have(name: str) -> None:
    recipe = read_recipe(ROOT / "recipes" / f"{name}.toml")
    objectives = [objective.name for objective in recipe.objectives]
    assert objectives == list(SOURCES["helpsteer2"].objectives)
    assert all(scale == PUBLISHED_OBJECTIVES[0].model_copy(update={"name": scale.name}) for scale in recipe.objectives)
    assert recipe.debiasing.verbosity in objectives
    assert all(SOURCES[each.source].repo for each in (*recipe.ratings, *recipe.pairs, *recipe.suites))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            'source = "hh_rlhf"\ncolumns = { prompt = "query" }',
            "columns of hh_rlhf names 'prompt', which is unknown: name one of",
        ),
        (
            'source = "derived"\nname = "d"\nratings = "helpsteer"\nby = { "helpsteer-coherence" = 1.0 }\n'
            'columns = { prompt = "query" }',
            "columns has no meaning for a derived set",
        ),
    ],
)
def test_names_of_columns_that_nobody_reads_are_refused(tmp_path: Path, change: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        read_recipe(write(tmp_path, GOOD.replace('source = "hh_rlhf"', change)))
    named = GOOD.replace('source = "hh_rlhf"', 'source = "hh_rlhf"\ncolumns = { chosen = "better" }')
    assert read_recipe(write(tmp_path, named)).pairs[0].columns == {"chosen": "better"}


def test_defaults_are_the_published_objectives_that_the_rating_sets_rate(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    assert recipe.objectives == PUBLISHED_OBJECTIVES[:5]
    assert recipe.ratings[0].name == "helpsteer"


def test_own_objectives_and_columns_need_no_code(tmp_path: Path) -> None:
    objectives = "".join(f'[[objectives]]\nname = "mine-{number}"\nlow = 0\nhigh = 10\n' for number in range(23))
    own = f"""
name = "own"
debiasing = {{ verbosity = "response_tokens" }}
[backbone]
model = "org/tiny"
{objectives}
[[ratings]]
source = "multi_objective"
path = "mine.jsonl"
columns = {{ "mine-3" = "third" }}
scales = {{ "mine-4" = {{ low = 0, high = 1, rule = "linear" }} }}
[[pairs]]
source = "derived"
name = "mine_pairs"
ratings = "multi_objective"
by = {{ "mine-0" = 1.0 }}
"""
    recipe = read_recipe(write(tmp_path, own))
    assert len(recipe.objectives) == 23
    assert recipe.scale_of(recipe.ratings[0], recipe.objectives[4]).high == 1
    assert recipe.scale_of(recipe.ratings[0], recipe.objectives[5]).high == 10


def test_the_digest_follows_every_setting(tmp_path: Path) -> None:
    one = Run(read_recipe(write(tmp_path, GOOD)))
    other = Run(read_recipe(write(tmp_path, GOOD + "[gate]\nseed = 1\n")))
    assert one.digest == Run(read_recipe(write(tmp_path, "# a comment\n" + GOOD))).digest
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("name =", "nmae ="), "unknown key nmae|the key name is missing"),
        (("model =", "modle ="), "unknown key backbone.modle|the key backbone.model is missing"),
        (
            ('source = "helpsteer"', 'source = "helpster"'),
            r"ratings.*'helpster' is no source of ratings: name one of .*helpsteer",
        ),
        (
            ('source = "hh_rlhf"', 'source = "reward_bench"'),
            r"pairs.*'reward_bench' is no source of pairs: name one of .*hh_rlhf.*or 'derived'",
        ),
        (("[[suites]]", "[gate]\nsteps = 0\n[[suites]]"), "gate.steps: .*greater than or equal to 1, given 0"),
        (("[[suites]]", '[gate]\nsteps = "many"\n[[suites]]'), "gate.steps: .*integer.*given 'many'"),
        (("[[suites]]", "[gate]\nstpes = 5\n[[suites]]"), "unknown key gate.stpes"),
        (("[[suites]]", "[split]\nvalidation = 1.5\n[[suites]]"), "split.validation: .*less than 1, given 1.5"),
        (("[[suites]]", "[extract]\npack_tokens = 64\n[[suites]]"), r"extract.pack_tokens \(64\) must be at least"),
        (("[[suites]]", '[debiasing]\nverbosity = "longness"\n[[suites]]'), "debiasing.verbosity names 'longness'"),
        (("[[suites]]", '[debiasing]\nreference = ["x"]\n[[suites]]'), "debiasing.reference names 'x'"),
        (("[[suites]]", '[store]\ndtype = "int8"\n[[suites]]'), "store.dtype: .*'float16'.*given 'int8'"),
        (("[[suites]]", '[[ratings]]\nsource = "helpsteer"\n[[suites]]'), "two data sets have the name 'helpsteer'"),
        (
            ("[[suites]]", '[[pairs]]\nsource = "derived"\n[[suites]]'),
            r"pairs\[1\].*a derived set needs more: give ratings",
        ),
        (('source = "helpsteer"', 'source = "helpsteer"\nlimit = 0'), r"ratings\[0\].limit: .*given 0"),
        (
            ('source = "helpsteer"', 'source = "helpsteer"\npath = "x"\nrepo = "a/b"'),
            r"ratings\[0\]: give either path, or",
        ),
        (("[[suites]]", '[gate]\nsteps = "500"\n[[suites]]'), "gate.steps: .*integer.*given '500'"),
        (("[[suites]]", "[gate]\nsteps = true\n[[suites]]"), "gate.steps: .*integer.*given True"),
        (("[[suites]]", "[gate]\ncenter_rewards_coefficient = -0.01\n[[suites]]"), "gate.center_.*given -0.01"),
        (("[[suites]]", "[gate]\ncenter_rewards_coefficient = nan\n[[suites]]"), "gate.center_rewards.*given nan"),
        (("[[suites]]", "[heads]\nbradley_terry_center_rewards_coefficient = -1\n[[suites]]"), "heads.brad.*given -1"),
        (
            ('source = "hh_rlhf"', 'source = "hh_rlhf"\nweight_by = "margin"'),
            r"\[\[pairs\]\] hh_rlhf: weight_by = 'margin', and the source 'hh_rlhf' gives no margins: take",
        ),
        (('source = "hh_rlhf"', 'source = "shp"\nweight_by = "strength"'), r"pairs\[0\].weight_by: .*'margin'"),
        (("[[suites]]", "[gate]\nseed = 99999999999999999999\n[[suites]]"), "gate.seed: .*less than"),
        (("[[suites]]", "[split]\nseed = 99999999999999999999\n[[suites]]"), "split.seed: .*less than"),
        (("[[suites]]", "[heads]\nalphas = [inf]\n[[suites]]"), r"heads.alphas\[0\]: .*finite"),
        (
            (
                "[[suites]]",
                '[[pairs]]\nsource = "derived"\nname = "d"\nratings = "helpsteer"\n'
                'by = { "helpsteer-helpfulness" = 0 }\n[[suites]]',
            ),
            "'helpsteer-helpfulness' the weight 0",
        ),
        (
            (
                "[[suites]]",
                '[[pairs]]\nsource = "derived"\nname = "d"\nratings = "helpsteer"\nlimit = 5\n'
                'by = { "helpsteer-helpfulness" = 1 }\n[[suites]]',
            ),
            "limit has no meaning for a derived set",
        ),
        (("[[suites]]", '[[pairs]]\nsource = "shp"\npick = "all"\n[[suites]]'), "by, by_each and pick belong to"),
        (("[backbone]", "[debiasing]\nverbosity = []\n[backbone]"), "debiasing.verbosity: it is an empty list: name"),
        (("[backbone]", '[debiasing]\nverbosity = ["lists", 1]\n[backbone]'), "neither the name of a variable nor a"),
        (("[backbone]", '[debiasing]\nverbosity = ["lists", "lists"]\n[backbone]'), "it names 'lists' twice"),
        (
            ("[backbone]", '[debiasing]\nverbosity = ["lists", "none"]\n[backbone]'),
            "'none' takes nothing out and stand",
        ),
        (("[backbone]", '[debiasing]\nverbosity = ["lists", "nobody"]\n[backbone]'), "verbosity names 'nobody'"),
        (
            (
                "[backbone]",
                '[debiasing]\nverbosity = ["lists", "markdown"]\nmethod = "published_grid"\n[backbone]',
            ),
            "debiasing: method = 'published_grid' is a search for one lambda: name one variable",
        ),
        (("[backbone]", "[[objectives]]\nname='lists'\nlow=0\nhigh=1\n[backbone]"), "'lists' has a meaning of its"),
        (("[backbone]", "[[objectives]]\nname='row'\nlow=0\nhigh=1\n[backbone]"), "'row' has a meaning of its own"),
        (("[backbone]", "[[objectives]]\nname='none'\nlow=0\nhigh=1\n[backbone]"), "'none' has a meaning of its own"),
        (("[backbone]", '[[objectives]]\nname="a\\nb"\nlow=0\nhigh=1\n[backbone]'), "a line of printable text"),
        (
            ("[backbone]", "[[objectives]]\nname='x'\nlow=0\nhigh=1\n[backbone]"),
            "one of 'response_tokens', 'markdown', 'lists', 'code_fences', 'none', x",
        ),
        (('name = "mine"', 'name = "../escape"'), "name: .*given '../escape'"),
        (('name = "mine"', 'name = "mine'), "is not TOML"),
        (
            ("[backbone]", "[[objectives]]\nname='x'\nlow=5\nhigh=1\n[backbone]"),
            r"objectives\[0\]: low \(5\) must be below",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_the_key(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    path = write(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(UserError, match=sentence) as caught:
        read_recipe(path)
    told = str(caught.value)
    assert str(path) in told
    lines = told.splitlines()
    assert len(lines) == 1 or lines[0] == f"{len(lines) - 1} things are wrong in {path}:"


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no recipe .*name a TOML file"):
        read_recipe(tmp_path / "nothing.toml")
