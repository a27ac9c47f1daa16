"""Where the paths of a recipe are: relative to the recipe's own file, with ~ and the environment's variables expanded.

A recipe keeps its paths as they are written, so that results stay current where a project is moved as a whole: stamps
hold what is written. `placed` is the same recipe with the paths as this process opens them.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache import UserError

if TYPE_CHECKING:
    from pipelines.recipe import Recipe

VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


def placed(recipe: "Recipe", folder: Path) -> "Recipe":
    """A recipe with its paths as this process opens them.

    Folders for results that the recipe does not name (`runs`, `store.root`) are those of the working directory.

    Args:
        recipe: with the paths as written.
        folder: the folder of its file.

    Raises:
        UserError: a path names a variable that the environment lacks, or is there in the working directory alone; or
            heads.from is the recipe's own run.
    """

    def place(key: str, written: Path | str) -> Path:
        return _place(key, str(written), folder)

    def place_sets(kind: str) -> tuple[Any, ...]:
        return tuple(
            given.model_copy(update={"path": place(f"[[{kind}]] {given.name}: path", given.path)})
            if given.path is not None
            else given
            for given in getattr(recipe, kind)
        )

    backbone, store, heads = recipe.backbone, recipe.store, recipe.heads
    backbone = backbone.model_copy(update={"model": _folder_or_name("backbone.model", backbone.model, folder)})
    if backbone.chat_template is not None:
        backbone = backbone.model_copy(
            update={"chat_template": place("backbone.chat_template", backbone.chat_template)}
        )
    if "root" in store.model_fields_set:
        store = store.model_copy(update={"root": place("store.root", store.root)})
    if heads.taken_from is not None:
        heads = heads.model_copy(update={"taken_from": _folder_or_name("heads.from", heads.taken_from, folder)})
    update: dict[str, Any] = {kind: place_sets(kind) for kind in ("ratings", "pairs", "suites")}
    update |= {"backbone": backbone, "store": store, "heads": heads}
    if "runs" in recipe.model_fields_set:
        update["runs"] = place("runs", recipe.runs)
    if recipe.data_root is not None:
        update["data_root"] = place("data_root", recipe.data_root)
    opened = recipe.model_copy(update=update)
    if heads.taken_from is not None and Path(heads.taken_from).resolve() == (opened.runs / opened.name).resolve():
        raise UserError("heads.from is this recipe's own run: name another recipe's")
    return opened


def _folder_or_name(key: str, written: str, folder: Path) -> str:
    """A folder, where there is one or only a folder can be meant; else the name of a repository, as it is."""
    there = _place(key, written, folder)
    return str(there) if there.exists() or written.startswith((".", "/", "~", "$")) else written


def _place(key: str, written: str, folder: Path) -> Path:
    try:
        expanded = os.path.expandvars(Path(written).expanduser())
    except RuntimeError as error:
        raise UserError(f"{key}: {written} cannot be expanded ({error}): write the path out") from None
    if unknown := VARIABLE.search(expanded):
        name = unknown[1].strip("{}")
        raise UserError(f"{key}: the environment has no variable {name}: set it, or write the path out")
    path = _short(folder / expanded)
    if not path.exists() and Path(expanded).exists():  # here it is relative: an absolute path is the same in both
        raise UserError(
            f"{key}: there is no {path}, but there is {expanded} in the working directory; a recipe's paths are"
            f" relative to its own folder: write {os.path.relpath(expanded, folder)}, or make {path} if you mean that"
        )
    return path


def _short(path: Path) -> Path:
    """The path without `folder/..`, unless `folder` is a link, behind which `..` is another folder."""
    short = Path(os.path.normpath(path))
    return short if not path.exists() or (short.exists() and short.samefile(path)) else path
