"""`armorm new`: a first recipe from the columns of one's own files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.terminal import JsonOption, console, finish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.guesses import NewRecipe, RatedFile

EXAMPLE = "armorm new mine.toml --ratings rated.csv"

Files = list[Path]


def command(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The TOML file to write; one that is there stays.")],
    ratings: Annotated[
        Files | None,
        typer.Option(help="Rated responses: a prompt, a response and a column of numbers for each objective. Several."),
    ] = None,
    pairs: Annotated[
        Files | None, typer.Option(help="Preferences: a prompt, the chosen and the rejected response. Several.")
    ] = None,
    suite: Annotated[
        Files | None, typer.Option(help="Preferences to be judged, and never learned from. Several.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Folder or `org/name` on the hub; left out, the bundled backbone.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a commented recipe from the columns of your files, and say what was guessed."""
    result = new(recipe, ratings or [], pairs or [], suite or [], backbone)
    finish(result, as_json, lambda: show(result))


def new(recipe: Path, ratings: Files, pairs: Files, suites: Files, backbone: str | None) -> "NewRecipe":
    """Write a recipe from what files seem to hold.

    Args:
        recipe: the file to write.
        ratings: files of rated responses.
        pairs: files of preferences.
        suites: files of preferences to be judged.
        backbone: folder or name on the hub; None: the bundled one.

    Raises:
        UserError: the recipe is there already, no file to learn from is named, or a file is not what it is named as.
    """
    from cache.durable import write_text
    from pipelines.guesses import NewRecipe, pair_file, rated_file
    from pipelines.new_recipe import text_of
    from pipelines.recipe import read_recipe

    if recipe.exists():
        raise UserError(f"{recipe} is there already: name another file, or remove it")
    if not (ratings or pairs):
        raise UserError("a recipe learns from ratings or pairs: name a file with --ratings or --pairs")
    if missing := [path for path in (*ratings, *pairs, *suites) if not path.is_file()]:
        raise UserError(f"there is no file {missing[0]}: check its name")
    rated = tuple(map(rated_file, ratings))
    preferences = tuple(map(pair_file, pairs))
    judged = tuple(pair_file(path, "preference_suite") for path in suites)
    text = text_of(recipe, backbone, rated, preferences, judged, _seed(rated, backbone))
    try:
        write_text(recipe, text)
    except OSError as error:
        raise UserError(f"{recipe} cannot be written ({error.strerror}): name another file") from None
    read_recipe(recipe)
    return NewRecipe(recipe, rated, preferences, judged)


def _seed(rated: "Sequence[RatedFile]", backbone: str | None) -> int | None:
    """A seed that holds out a fifth of few prompts, which depends on their tokens.

    None where a tenth of the prompts is enough, or where no seed can be known, since the backbone is not on this disk.
    """
    from pipelines.new_recipe import BUNDLED, VALIDATION, few

    folder = BUNDLED if backbone is None else Path(backbone)
    if not few(rated) or not folder.is_dir():
        return None
    from cache.keys import token_key
    from extract.backbone import find_backbone
    from extract.encoded import Encoded
    from extract.settings import BackboneSettings, SplitSettings
    from extract.splits import dividing_seed
    from extract.templating import ConversationEncoder
    from pipelines.guesses import prompts_of

    settings = BackboneSettings(model=str(folder), max_tokens=2048)
    found = find_backbone(settings)
    encoder = ConversationEncoder(found.tokenizer, settings, found.vocabulary)
    encoded = encoder.encode([(prompt, ("An answer.",)) for one in rated for prompt in prompts_of(one)])
    keys = {token_key(one.prompt) for one in encoded if isinstance(one, Encoded)}
    return dividing_seed([keys], SplitSettings(validation=VALIDATION))


def show(result: "NewRecipe") -> None:
    """Print what was guessed, and what comes next."""
    from pipelines.guesses import number_of_rows

    out = console()
    for rated in result.ratings:
        rows = number_of_rows(rated.rows)
        out.print(f"{rated.path}: {rows}, rated responses to {rated.prompts:,} prompts", highlight=False)
        for each in rated.objectives:
            seen = f"{each.ratings:,} ratings from {each.lowest:g} to {each.highest:g}"
            scale = f"the scale is guessed to go from {each.low:g} to {each.high:g}"
            out.print(f"  {each.name}: {seen}; {scale}", highlight=False)
        for reason in rated.left_out:
            out.print(f"  left out: {reason}", highlight=False)
    for pairs in (*result.pairs, *result.suites):
        renamed = "".join(f", {name} from column {column!r}" for name, column in pairs.columns.items())
        out.print(f"{pairs.path}: {number_of_rows(pairs.rows)}, preferences{renamed}", highlight=False)
    out.print(f"written: {result.recipe}; next: armorm check --recipe {result.recipe}", highlight=False)
