"""The recipe: one TOML file that says everything a run depends on."""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cache import StoreSettings, UserError
from cache.fingerprint import digest_of
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
from extract.sources import SOURCES
from extract.tables import EXAMPLES
from gating.settings import (
    MEASURED,
    NO_VERBOSITY,
    RESPONSE_TOKENS,
    DebiasingSettings,
    GateSettings,
    unknown_variable,
)
from heads.kinds.registry import RATINGS
from heads.objectives import PUBLISHED_OBJECTIVES, Objective, Scale
from heads.settings import FOR_RATINGS, HeadSettings, OtherHeadSettings

DERIVED = "derived"


class ScaledRatings(RatingSettings):
    """`[[ratings]]` with scales, where this set's differ from the objectives' own.

    A recipe may have none: then `[heads]` says where objectives come from.
    """

    scale: Scale | None = None
    """Scale of all objectives in this set."""
    scales: dict[str, Scale] = Field(default_factory=dict)
    """Objective -> its scale in this set."""


def _rateable(ratings: Iterable[RatingSettings]) -> set[str] | None:
    """Objectives that some rating sets can rate; None if one of them rates whatever the recipe names."""
    rated: set[str] = set()
    for settings in ratings:
        own = SOURCES[settings.source].objectives if settings.source in SOURCES else ()
        if not own:
            return None
        rated.update(own)
    return rated


def _default_objectives(given: dict[str, Any]) -> tuple[Objective, ...]:
    rateable = _rateable(given.get("ratings", ()))
    return tuple(each for each in PUBLISHED_OBJECTIVES if rateable is None or each.name in rateable)


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
    pairs: tuple[PairSettings, ...] = Field(min_length=1)
    suites: tuple[SuiteSettings, ...] = ()
    heads: HeadSettings = HeadSettings()
    other_heads: OtherHeadSettings = OtherHeadSettings()
    debiasing: DebiasingSettings = DebiasingSettings()
    gate: GateSettings = GateSettings()

    @property
    def digest(self) -> str:
        """Digest of all settings."""
        return digest_of(self.model_dump(mode="json"))[:16]

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
    def datasets_read(self) -> tuple[DatasetSettings, ...]:
        """The data sets that are read from files: all but derived pairs."""
        return (*self.ratings, *(pairs for pairs in self.pairs if pairs.source != DERIVED), *self.suites)

    @model_validator(mode="after")
    def _hangs_together(self) -> "Recipe":
        objectives = [objective.name for objective in self.objectives]
        _refuse_twice(objectives, "objectives")
        for name in objectives:
            _check_objective_name(name)
        for kind, datasets in (("ratings", self.ratings), ("pairs", self.pairs), ("suites", self.suites)):
            for dataset in datasets:
                _check_source(kind, dataset.source)
        _refuse_twice([dataset.name for dataset in (*self.ratings, *self.pairs, *self.suites)], "data sets")
        sets = {dataset.name for dataset in self.ratings}
        for ratings in self.ratings:
            for objective in (*ratings.scales, *ratings.columns):
                _check_known(objective, objectives, f"[[ratings]] {ratings.name}: scales or columns")
        renamed: tuple[PairSettings | SuiteSettings, ...] = (*self.pairs, *self.suites)
        for named in renamed:
            for column in named.columns:
                _check_known(column, list(SOURCES[named.source].columns), f"columns of {named.name}")
        for pairs in self.pairs:
            for objective in (*pairs.by, *pairs.by_each):
                _check_known(objective, objectives, f"[[pairs]] {pairs.name}: by or by_each")
            if pairs.ratings is not None and pairs.ratings not in sets:
                raise ValueError(f"[[pairs]] {pairs.name}: there is no rating set {pairs.ratings!r}")
        for name in self.heads.dataset_weights:
            _check_known(name, sorted(sets), "heads.dataset_weights")
        for name in self.heads.objective_weights:
            _check_known(name, objectives, "heads.objective_weights")
        self._check_origin_of_objectives()
        if self.heads.layer is not None and self.heads.layer >= len(self.backbone.layers):
            raise ValueError(
                f"heads.layer is {self.heads.layer}, and backbone.layers names {len(self.backbone.layers)}"
            )
        self._check_verbosity()
        for reference in self.debiasing.reference:
            _check_known(reference, [*sets, *(pairs.name for pairs in self.pairs)], "debiasing.reference")
        for layer in self.other_heads.layers:
            _check_known(str(layer), list(map(str, self.backbone.layers)), "other_heads.layers")
        for key in ("ties", "margin", "pair_weights"):
            for name in getattr(self.gate, key):
                _check_known(name, [pairs.name for pairs in self.pairs], f"gate.{key}")
        if self.extract.pack_tokens < self.backbone.max_tokens:
            raise ValueError(
                f"extract.pack_tokens ({self.extract.pack_tokens}) must be at least"
                f" backbone.max_tokens ({self.backbone.max_tokens}), or the longest conversation fits no pack"
            )
        self._check_rateable()
        return self

    def _check_origin_of_objectives(self) -> None:
        """Refuse keys that say where objectives come from, or how they are fitted, and mean nothing here."""
        heads = self.heads
        if self.ratings:
            for key, value in (("from", heads.taken_from), ("directions", heads.directions)):
                if value is not None:
                    raise ValueError(f"heads.{key} is for a recipe without [[ratings]]: take one of the two out")
            if not self.objectives:
                raise ValueError("objectives: there is none: name those that the rating sets rate")
            return
        if self.objectives:
            raise ValueError(
                "objectives: no rating set rates them: add [[ratings]], or take them out; without ratings, objectives"
                " come from heads.from or heads.directions"
            )
        for key in FOR_RATINGS:
            if key in heads.model_fields_set:
                raise ValueError(f"heads.{key} is for heads that are fitted on ratings, and there are no [[ratings]]")
        for kind in self.other_heads.fit:
            if kind in RATINGS:
                raise ValueError(f"other_heads.fit: {kind!r} is fitted on ratings, and there are no [[ratings]]")
        if heads.taken_from is not None and Path(heads.taken_from).resolve() == (self.runs / self.name).resolve():
            raise ValueError("heads.from is this recipe's own run: name another recipe's")

    def _check_verbosity(self) -> None:
        names = self.objective_names
        verbosity = None if names is None else unknown_variable(self.debiasing.verbosity, names)
        if verbosity is None or names is None:
            return
        if not self.ratings and "verbosity" not in self.debiasing.model_fields_set:
            raise ValueError(
                f"debiasing.verbosity is missing: its default, {verbosity!r}, is no objective of a recipe without"
                f" [[ratings]]; set it to '{RESPONSE_TOKENS}' (the length of the response) or '{NO_VERBOSITY}'"
            )
        known = [*(f"'{name}'" for name in (*MEASURED, NO_VERBOSITY)), *names]
        _check_known(verbosity, known, "debiasing.verbosity")

    def _check_rateable(self) -> None:
        """Refuse objectives that no rating set of the recipe can rate, before a row is read."""
        rateable = _rateable(self.ratings)
        for objective in self.objectives:
            if rateable is not None and objective.name not in rateable:
                raise ValueError(
                    f"objectives names {objective.name!r}, which no rating set rates: add one that does, or take the"
                    f" objective out; {', '.join(ratings.name for ratings in self.ratings)} rate"
                    f" {', '.join(sorted(rateable))}"
                )


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UserError: the file is missing or not TOML, or a key is unknown, of the wrong type, or impossible.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"there is no recipe {path}: name a TOML file, such as recipes/demo.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from None
    try:
        # By way of JSON, where 'strict' still takes a list for a tuple and a text for a path.
        return Recipe.model_validate_json(json.dumps(values, default=repr), strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    """One sentence for the first thing pydantic refused, with the key as it stands in the TOML file."""
    problem = error.errors()[0]
    key = ".".join(f"[{part}]" if isinstance(part, int) else part for part in problem["loc"]).replace(".[", "[")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}: check its spelling, or take it out{more}"
    if problem["type"] == "missing":
        return f"the key {key} is missing: add it{more}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f", given {given!r}" if isinstance(given, str | int | float | bool) else ""
    return f"{key}: {message}{shown}{more}" if key else f"{message}{more}"


def _refuse_twice(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what} have the name {name!r}: give one of them another `name`")


def _check_source(kind: str, source: str) -> None:
    if kind == "pairs" and source == DERIVED:
        return
    fitting = sorted(name for name, known in SOURCES.items() if known.kind == {"suites": "suite"}.get(kind, kind))
    if source not in fitting:
        also = f", or '{DERIVED}'" if kind == "pairs" else ""
        raise ValueError(f"[[{kind}]] source = {source!r} is not one of {', '.join(fitting)}{also}")


def _check_objective_name(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise ValueError(f"objectives: {name!r} cannot be a name: it must be a line of printable text")
    if name in (*EXAMPLES, *MEASURED, NO_VERBOSITY):
        raise ValueError(f"objectives: {name!r} has a meaning of its own here: give the objective another name")


def _check_known(name: str, known: list[str], where: str) -> None:
    if name not in known:
        raise ValueError(f"{where} names {name!r}, which is not one of {', '.join(known)}")
