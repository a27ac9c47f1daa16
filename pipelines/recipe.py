"""The recipe: one TOML file that says everything a run depends on."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from cache import StoreSettings, UserError
from extract.settings import (
    BackboneSettings,
    DatasetSettings,
    ExtractSettings,
    Name,
    PairSettings,
    RatingSettings,
    SplitSettings,
    SuiteSettings,
)
from gating.settings import DebiasingSettings, GateSettings
from heads.objectives import PUBLISHED_OBJECTIVES, Objective, Scale
from heads.settings import HeadSettings, OtherHeadSettings
from pipelines.recipe_checks import DERIVED, Problem, UnsoundRecipeError, problems, rateable
from pipelines.recipe_lines import Key, line_of
from pipelines.recipe_paths import placed


class ScaledRatings(RatingSettings):
    """`[[ratings]]` with scales, where this set's differ from the objectives' own.

    A recipe may have none: then `[heads]` says where objectives come from.
    """

    scale: Scale | None = None
    """Scale of all objectives in this set."""
    scales: dict[str, Scale] = Field(default_factory=dict)
    """Objective -> its scale in this set."""


def _default_objectives(given: dict[str, Any]) -> tuple[Objective, ...]:
    rated = rateable(given.get("ratings", ()))
    return tuple(each for each in PUBLISHED_OBJECTIVES if rated is None or each.name in rated)


class Recipe(BaseModel):
    """A whole recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Name
    """Names the run's folder."""
    runs: Path = Path("runs")
    """Folder of all runs."""
    data_root: Path | None = None
    """Hub-shaped folder to read data sets from, `data_root/org/name/file`, instead of the hub."""
    missing_datasets: Literal["refuse", "skip"] = "refuse"
    """Whether a data set that is not found ends the command, or is skipped by name. With 'skip', objectives that are
    left without enough ratings are skipped too, each by name."""
    note: str = ""
    """Printed above every table of results: what a reader must know before comparing."""
    backbone: BackboneSettings
    store: StoreSettings = StoreSettings()
    extract: ExtractSettings = ExtractSettings()
    split: SplitSettings = SplitSettings()
    ratings: tuple[ScaledRatings, ...] = ()
    objectives: tuple[Objective, ...] = Field(default_factory=_default_objectives)
    pairs: tuple[PairSettings, ...] = ()
    suites: tuple[SuiteSettings, ...] = ()
    heads: HeadSettings = HeadSettings()
    other_heads: OtherHeadSettings = OtherHeadSettings()
    debiasing: DebiasingSettings = DebiasingSettings()
    gate: GateSettings = GateSettings()

    _folder: Path = PrivateAttr(default=Path())
    """Folder of the recipe's file."""
    _lines: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def lines(self) -> dict[str, str]:
        """Data set, or key that a check speaks of -> its line in the recipe's file, as `mine.toml:12`."""
        return self._lines

    def placed(self) -> "Recipe":
        """The recipe with its paths as this process opens them; see `pipelines.recipe_paths`."""
        return placed(self, self._folder)

    @property
    def objective_names(self) -> tuple[str, ...] | None:
        """Names of the objectives; None where only the folder that `heads.from` names knows them."""
        if self.ratings:
            return tuple(objective.name for objective in self.objectives)
        return self.heads.names_without_ratings()

    def scale_of(self, ratings: ScaledRatings, objective: Objective) -> Scale:
        """The scale an objective's ratings are on in a rating set."""
        return ratings.scales.get(objective.name) or ratings.scale or objective

    @property
    def scales(self) -> dict[str, dict[str, Scale]]:
        """Rating set -> objective -> scale of its ratings."""
        return {
            ratings.name: {objective.name: self.scale_of(ratings, objective) for objective in self.objectives}
            for ratings in self.ratings
        }

    @property
    def ranges(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Rating set -> objective -> (lowest, highest) rating."""
        return {
            name: {objective: (scale.low, scale.high) for objective, scale in scales.items()}
            for name, scales in self.scales.items()
        }

    @property
    def weighted_by_margin(self) -> tuple[str, ...]:
        """Names of the pair sets whose pairs count by their margin."""
        return tuple(pairs.name for pairs in self.pairs if pairs.weight_by == "margin")

    @property
    def datasets_read(self) -> tuple[DatasetSettings, ...]:
        """The data sets that are read from files: all but derived pairs."""
        return (*self.ratings, *(pairs for pairs in self.pairs if pairs.source != DERIVED), *self.suites)

    @model_validator(mode="after")
    def _hangs_together(self) -> "Recipe":
        if found := problems(self):
            raise UnsoundRecipeError(found)
        return self


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UserError: the file is missing or not TOML, or a key is unknown, of the wrong type, or impossible. All that is
            wrong is named, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
        values = tomllib.loads(text)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"there is no recipe {path}: name a TOML file, such as recipes/demo.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML ({error}): correct it there") from None
    try:
        # By way of JSON, where 'strict' still takes a list for a tuple and a text for a path.
        recipe = Recipe.model_validate_json(json.dumps(values, default=repr), strict=True)
    except ValidationError as error:
        raise UserError(_in_words(path, text, error)) from None
    recipe._folder = path.parent
    recipe._lines = {
        subject: f"{path}:{line}" for subject, key in _subjects(recipe) if (line := line_of(text, key)) is not None
    }
    return recipe


def _subjects(recipe: Recipe) -> Iterator[tuple[str, Key]]:
    """(what a check speaks of, its place in the recipe)."""
    for kind in ("ratings", "pairs", "suites"):
        yield from ((given.name, (kind, place)) for place, given in enumerate(getattr(recipe, kind)))
    for key in ("backbone", "backbone.gguf_file", "extract.engine", "store.root", "runs"):
        yield key, tuple(key.split("."))


def _in_words(path: Path, text: str, error: ValidationError) -> str:
    """All that pydantic refused, a sentence each, with the line of the file."""
    found = [problem for each in error.errors() for problem in _problems_of(each)]
    with_lines = [(line_of(text, key), sentence) for key, sentence in found]
    if len(with_lines) == 1:
        line, sentence = with_lines[0]
        return f"{path}:{line}: {sentence}" if line else f"{path}: {sentence}"
    listed = sorted(with_lines, key=lambda each: each[0] or 0)
    lines = [f"  line {line}: {sentence}" if line else f"  {sentence}" for line, sentence in listed]
    return "\n".join([f"{len(lines)} things are wrong in {path}:", *lines])


def _spelling(where: Key) -> str:
    """Remedy for an unknown key: the known one that it is like."""
    schema = Recipe.model_json_schema()
    known = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", ())}
    like = get_close_matches(str(where[-1]), sorted(known), n=1)
    return f"is {like[0]!r} meant? Correct it" if like else "check its spelling"


def _problems_of(problem: ErrorDetails) -> Sequence[Problem]:
    """Problems that one error of pydantic names, with the key as it stands in the TOML file."""
    if isinstance(cause := problem.get("ctx", {}).get("error"), UnsoundRecipeError):
        return cause.problems
    where = problem["loc"]
    key = ".".join(f"[{part}]" if isinstance(part, int) else part for part in where).replace(".[", "[")
    if problem["type"] == "default_factory_not_called":  # a consequence of another problem
        return []
    if problem["type"] == "extra_forbidden":
        return [(where, f"unknown key {key}: {_spelling(where)}, or take it out")]
    if problem["type"] == "missing":
        return [(where, f"the key {key} is missing: add it")]
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f", given {given!r}" if isinstance(given, str | int | float | bool) else ""
    return [(where, f"{key}: {message}{shown}")]
