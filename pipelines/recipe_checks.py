"""Checks between the keys of a recipe, which no key can make by itself."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from extract.settings import RatingSettings
from extract.sources import SOURCES
from extract.tables import EXAMPLES
from gating.settings import MEASURED, NO_VERBOSITY, RESPONSE_TOKENS, unknown_variable
from heads.kinds.registry import RATINGS
from heads.settings import FOR_RATINGS
from pipelines.recipe_lines import Key

if TYPE_CHECKING:
    from pipelines.recipe import Recipe

DERIVED = "derived"

NO_PAIRS = (
    "the recipe has no [[pairs]], and so heads can be fitted and no gate: add a set of preferences for train-gating, or"
    " derive one from the ratings (source = 'derived')"
)

Problem = tuple[Key, str]
"""The place of what is wrong, and one sentence."""


class UnsoundRecipeError(ValueError):
    """Keys of a recipe that do not fit each other; `problems` has all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(sentence for _, sentence in problems))
        self.problems = problems


def rateable(ratings: Iterable[RatingSettings]) -> set[str] | None:
    """Objectives that some rating sets can rate; None if one of them rates whatever the recipe names."""
    rated: set[str] = set()
    for settings in ratings:
        own = SOURCES[settings.source].objectives if settings.source in SOURCES else ()
        if not own:
            return None
        rated.update(own)
    return rated


def problems(recipe: "Recipe") -> list[Problem]:
    """All that is wrong between the keys of a recipe."""
    found = [*_names(recipe), *_sources(recipe)]
    if found:
        return found  # the others are about sources and names that are known
    return [*_columns(recipe), *_references(recipe), *_origin_of_objectives(recipe), *_sizes(recipe)]


def _names(recipe: "Recipe") -> Iterator[Problem]:
    objectives = [objective.name for objective in recipe.objectives]
    yield from _twice(objectives, "objectives", ("objectives",))
    for place, name in enumerate(objectives):
        if not name.strip() or not name.isprintable():
            yield (
                ("objectives", place, "name"),
                f"objectives: {name!r} cannot be a name: it must be a line of printable text",
            )
        elif name in (*EXAMPLES, *MEASURED, NO_VERBOSITY):
            yield (
                ("objectives", place, "name"),
                f"objectives: {name!r} has a meaning of its own here: give the objective another name",
            )
    sets = [
        (kind, place, given.name)
        for kind in ("ratings", "pairs", "suites")
        for place, given in enumerate(getattr(recipe, kind))
    ]
    names = [name for _, _, name in sets]
    for number, (kind, place, name) in enumerate(sets):
        if name in names[:number]:
            yield (kind, place), f"two data sets have the name {name!r}: give one of them another `name`"


def _sources(recipe: "Recipe") -> Iterator[Problem]:
    for kind in ("ratings", "pairs", "suites"):
        fitting = sorted(name for name, known in SOURCES.items() if known.kind == {"suites": "suite"}.get(kind, kind))
        also = [DERIVED] if kind == "pairs" else []
        for place, given in enumerate(getattr(recipe, kind)):
            if given.source not in (*fitting, *also):
                or_derived = f", or '{DERIVED}'" if also else ""
                yield (
                    (kind, place, "source"),
                    f"[[{kind}]] source = {given.source!r} is no source of {kind}: name one of"
                    f" {', '.join(fitting)}{or_derived}",
                )


def _columns(recipe: "Recipe") -> Iterator[Problem]:
    objectives = [objective.name for objective in recipe.objectives]
    for place, ratings in enumerate(recipe.ratings):
        for key in ("scales", "columns"):
            where: Key = ("ratings", place, key)
            what = f"[[ratings]] {ratings.name}: scales or columns"
            yield from _unknown(getattr(ratings, key), objectives, what, where)
    for kind in ("pairs", "suites"):
        for place, named in enumerate(getattr(recipe, kind)):
            if named.source != DERIVED:
                known = list(SOURCES[named.source].columns)
                yield from _unknown(named.columns, known, f"columns of {named.name}", (kind, place, "columns"))


def _references(recipe: "Recipe") -> Iterator[Problem]:
    """Names of data sets, objectives and layers elsewhere than where they are declared."""
    objectives = [objective.name for objective in recipe.objectives]
    rating_sets = sorted(dataset.name for dataset in recipe.ratings)
    pair_sets = [pairs.name for pairs in recipe.pairs]
    for place, pairs in enumerate(recipe.pairs):
        yield from _unknown(
            (*pairs.by, *pairs.by_each), objectives, f"[[pairs]] {pairs.name}: by or by_each", ("pairs", place)
        )
        if pairs.ratings is not None:
            what = f"[[pairs]] {pairs.name}: ratings"
            yield from _unknown([pairs.ratings], rating_sets, what, ("pairs", place))
        if pairs.weight_by is not None and pairs.source != DERIVED and not SOURCES[pairs.source].margins:
            yield (
                ("pairs", place, "weight_by"),
                f"[[pairs]] {pairs.name}: weight_by = {pairs.weight_by!r}, and the source {pairs.source!r} gives no"
                " margins: take weight_by out",
            )
    for keys, named, known in (
        (("heads", "dataset_weights"), recipe.heads.dataset_weights, rating_sets),
        (("heads", "objective_weights"), recipe.heads.objective_weights, objectives),
        (("debiasing", "reference"), recipe.debiasing.reference, [*rating_sets, *pair_sets]),
        (("other_heads", "layers"), map(str, recipe.other_heads.layers), list(map(str, recipe.backbone.layers))),
        (("gate", "ties"), recipe.gate.ties, pair_sets),
        (("gate", "margin"), recipe.gate.margin, pair_sets),
        (("gate", "pair_weights"), recipe.gate.pair_weights, pair_sets),
    ):
        yield from _unknown(named, known, ".".join(keys), keys)
    yield from _verbosity(recipe)


def _verbosity(recipe: "Recipe") -> Iterator[Problem]:
    names = recipe.objective_names
    variable = None if names is None else unknown_variable(recipe.debiasing.verbosity, names)
    if variable is None or names is None:
        return
    if not recipe.ratings and "verbosity" not in recipe.debiasing.model_fields_set:
        yield (
            ("debiasing",),
            f"debiasing.verbosity is missing: its default, {variable!r}, is no objective of a recipe without"
            f" [[ratings]]; set it to '{RESPONSE_TOKENS}' (the length of the response) or '{NO_VERBOSITY}'",
        )
        return
    known = [*(f"'{name}'" for name in (*MEASURED, NO_VERBOSITY)), *names]
    yield from _unknown([variable], known, "debiasing.verbosity", ("debiasing", "verbosity"))


def _origin_of_objectives(recipe: "Recipe") -> Iterator[Problem]:
    """Keys that say where objectives come from, or how they are fitted, and mean nothing in this recipe."""
    heads = recipe.heads
    if recipe.ratings:
        for key, value in (("from", heads.taken_from), ("directions", heads.directions)):
            if value is not None:
                yield ("heads", key), f"heads.{key} is for a recipe without [[ratings]]: take one of the two out"
        if not recipe.objectives:
            yield ("objectives",), "objectives: there is none: name those that the rating sets rate"
        yield from _unrated(recipe)
        return
    if not recipe.pairs:
        yield (), "the recipe has neither [[ratings]] nor [[pairs]]: add a set to learn from"
    if recipe.objectives:
        yield (
            ("objectives",),
            "objectives: no rating set rates them: add [[ratings]], or take them out; without ratings, objectives"
            " come from heads.from or heads.directions",
        )
    for key in FOR_RATINGS:
        if key in heads.model_fields_set:
            yield (
                ("heads", key),
                f"heads.{key} is for heads that are fitted on ratings, and there are no [[ratings]]: take it out",
            )
    for kind in recipe.other_heads.fit:
        if kind in RATINGS:
            yield (
                ("other_heads", "fit"),
                f"other_heads.fit: {kind!r} is fitted on ratings, and there are no [[ratings]]: take it out",
            )


def _unrated(recipe: "Recipe") -> Iterator[Problem]:
    """Objectives that no rating set of the recipe can rate, known before a row is read."""
    known = rateable(recipe.ratings)
    for place, objective in enumerate(recipe.objectives):
        if known is not None and objective.name not in known:
            yield (
                ("objectives", place),
                f"objectives names {objective.name!r}, which no rating set rates: add one that does, or take the"
                f" objective out; {', '.join(ratings.name for ratings in recipe.ratings)} rate"
                f" {', '.join(sorted(known))}",
            )


def _sizes(recipe: "Recipe") -> Iterator[Problem]:
    layer, layers = recipe.heads.layer, len(recipe.backbone.layers)
    if layer is not None and layer >= layers:
        yield (
            ("heads", "layer"),
            f"heads.layer is {layer}, and backbone.layers names {layers}: count from 0, to {layers - 1}",
        )
    longest, pack = recipe.backbone.max_tokens, recipe.extract.pack_tokens
    if pack < longest:
        yield (
            ("extract", "pack_tokens"),
            f"extract.pack_tokens ({pack}) must be at least backbone.max_tokens ({longest}), or the longest"
            " conversation fits no pack",
        )


def _twice(names: list[str], what: str, where: Key) -> Iterator[Problem]:
    for place, name in enumerate(names):
        if name in names[:place]:
            yield (*where, place), f"two {what} have the name {name!r}: give one of them another `name`"


def _unknown(names: Iterable[str], known: Sequence[str], what: str, where: Key) -> Iterator[Problem]:
    remedy = f"name one of {', '.join(known)}" if known else "take it out, for there are none"
    for name in names:
        if name not in known:
            yield (*where, name), f"{what} names {name!r}, which is unknown: {remedy}"
