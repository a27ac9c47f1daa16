"""The files of a run: names, the commands that write them, and what each depends on. Nothing is computed here."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import polars as pl

from evaluation.suites import SUITES
from extract import tables
from pipelines import results

Result = TypeVar("Result")

TABLES = "tables"
SKIPPED = "skipped.jsonl"
SCORERS = "scorers"
PLOTS = "plots"
LEASES = "leases"
"""Folder of the locks that keep two commands from writing the same files."""
PAGE = "report.html"
LEADERBOARD_PAGE = "leaderboard.md"
FEATURES = "features"
FEATURE_ROWS = "rows.parquet"
"""Table beside exported features: which row uses which."""


@dataclass(frozen=True, slots=True)
class Artefact(Generic[Result]):
    """A result of a command: names and dependencies alone, nothing is computed here."""

    file: str
    """Path in the run's folder: a JSON file, safetensors, or a table."""
    command: str
    """`armorm <command>` writes it, and is the remedy where it is missing or out of date."""
    result: type[Result]
    """Type of the JSON file's content, or of a table or arrays."""
    settings: tuple[str, ...] = ()
    """Keys of the recipe that it depends on; a key after '-' is left out of the table, or list of tables, before it,
    and 'key if condition' counts where the key `condition` is true."""
    made_of: tuple["Artefact[Any]", ...] = ()
    optional: tuple["Artefact[Any]", ...] = ()
    """Results that it takes in where they are current."""
    files: str = ""
    """Pattern of further files that it is made of, whoever wrote them."""
    of_ratings: bool = False
    """Whether it says something about ratings, so that a recipe without [[ratings]] has none."""
    settings_without_ratings: tuple[str, ...] = ()
    """Further keys that it depends on in a recipe without [[ratings]]."""
    made_of_without_ratings: tuple["Artefact[Any]", ...] = ()
    """Further results that it is made of in a recipe without [[ratings]]."""
    heads_in: str | None = None
    """Key of the recipe that may name a folder, whose heads it is then made of."""
    columns: tuple[str, ...] = ()
    """Columns that every table of this version has: one with others is out of date."""
    data: str | None = None
    """File of arrays or rows beside the JSON file: what results that are made of this one depend on."""


_ROWS = ("backbone", "store.dtype", "split", "suites if split.drop_overlap")
EXTRACT = Artefact("extract.json", "extract", results.Extract, ("backbone", "store.dtype"))
EXAMPLES = Artefact(
    f"{TABLES}/examples.parquet",
    "extract",
    pl.DataFrame,
    (*_ROWS, "objectives", "ratings"),
    (EXTRACT,),
    columns=tuple(tables.EXAMPLES),
)
PAIRS = Artefact(
    f"{TABLES}/pairs.parquet",
    "extract",
    pl.DataFrame,
    (*_ROWS, "objectives", "ratings", "pairs", "-pairs.weight_by"),
    (EXTRACT,),
    columns=tuple(tables.PAIRS),
)
SUITE_ROWS = Artefact(
    f"{TABLES}/suites.parquet",
    "extract",
    pl.DataFrame,
    ("backbone", "store.dtype", "suites"),
    (EXTRACT,),
    columns=tuple(tables.SUITES),
)
SUITE_TEXTS = Artefact(f"{TABLES}/suite_texts.parquet", "extract", pl.DataFrame, SUITE_ROWS.settings, (EXTRACT,))

TABLE_OF = {"examples": EXAMPLES, "pairs": PAIRS, "suites": SUITE_ROWS}

_RATED = ("objectives", "ratings")
_PLAIN_HEAD = ("heads.bradley_terry_C", "heads.bradley_terry_center_rewards_coefficient")
STATISTICS = Artefact(
    "statistics.json", "fit-heads", object, (*_RATED, "heads.joint_layers"), (EXTRACT, EXAMPLES), of_ratings=True
)
HEADS = Artefact(
    "heads.json",
    "fit-heads",
    results.Heads,
    (*_RATED, "missing_datasets", "heads", *(f"-{key}" for key in _PLAIN_HEAD)),
    (EXTRACT, EXAMPLES),
    data="heads.safetensors",
    settings_without_ratings=(*_PLAIN_HEAD, "gate.ties", "gate.pair_weights", "pairs.weight_by"),
    made_of_without_ratings=(PAIRS,),
    heads_in="heads.from",
)
UNCERTAINTY = Artefact("uncertainty.safetensors", "fit-heads", dict, (), (HEADS,))
INTERVALS = Artefact("intervals.safetensors", "fit-heads", dict, (), (HEADS,), of_ratings=True)
OTHER_HEADS = Artefact(
    "other_heads.json",
    "fit-other-heads",
    results.OtherHeads,
    (*_RATED, "other_heads", "pairs.weight_by"),
    (EXTRACT, EXAMPLES, PAIRS, HEADS),
    optional=(INTERVALS,),
    data="other_heads.safetensors",
)
GATING = Artefact(
    "gating.json",
    "train-gating",
    results.Gating,
    ("debiasing", "gate", *_PLAIN_HEAD, "pairs.weight_by"),
    (EXTRACT, EXAMPLES, PAIRS, HEADS),
    data="gating.safetensors",
)


def suite(name: str) -> Artefact[results.Suite]:
    """Results of a suite; its data are the scored responses, with the standard errors of scores and margins."""
    return Artefact(
        f"{name}.json",
        f"eval --suite {name}",
        results.Suite,
        made_of=(GATING, SUITE_ROWS),
        optional=(OTHER_HEADS, UNCERTAINTY),
        files=f"{SCORERS}/{name}/*.parquet",
        data=f"scores/{name}.parquet",
    )


def analysis(name: str) -> Artefact[results.Analysis]:
    """Analysis of a suite's scores: comparisons of rules, length bias, calibration, best of n."""
    return Artefact(
        f"{name}.analysis.json", "analyse", results.Analysis, made_of=(suite(name),), optional=(OTHER_HEADS,)
    )


RATINGS = Artefact("ratings.json", "analyse", results.Ratings, (), (HEADS, STATISTICS, EXAMPLES), of_ratings=True)
ABLATIONS = Artefact(
    "ablations.json",
    "ablate",
    results.Ablations,
    made_of=(HEADS, STATISTICS),
    optional=(GATING, OTHER_HEADS, suite("rewardbench")),
    of_ratings=True,
)


LEADERBOARD = Artefact("leaderboard.json", "leaderboard", results.Leaderboard, optional=tuple(map(suite, SUITES)))


def scorer(suite_name: str, file: str) -> Artefact[results.Scorer]:
    """Scores that another model gave a suite's responses; keys in its rows say which texts it scored."""
    stem = f"{SCORERS}/{suite_name}/{file}"
    return Artefact(f"{stem}.json", f"score-suite --suite {suite_name}", results.Scorer, data=f"{stem}.parquet")
