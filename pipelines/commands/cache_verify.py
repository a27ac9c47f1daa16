"""`armorm cache verify`: every byte of a recipe's store."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.cache_status import StoreRecipeOption, store_folder
from pipelines.terminal import JsonOption, console, finish, open_run, reporting

EXAMPLE = "armorm cache verify --recipe recipes/demo.toml --repair"


def command(
    recipe: StoreRecipeOption,
    repair: Annotated[
        bool, typer.Option("--repair", help="Drop exactly what is damaged, so that the next extract refills it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every byte of the store; exit code 1 if something is damaged, or not named, and was not repaired."""
    from cache.verify import verify

    folder = store_folder(open_run(recipe))
    with reporting() as progress:
        findings = verify(folder, repair=repair, progress=progress)
    finish({"store": str(folder), "whole": findings.whole, **asdict(findings)}, as_json, lambda: show(findings, folder))
    if not findings.whole:
        raise typer.Exit(1)


def show(findings: Any, folder: Path) -> None:
    """Print a sentence for each thing that is damaged, and one about the whole."""
    out = console()
    for problem in findings.problems:
        out.print(f"damaged: {problem}", highlight=False)
    for sentence in findings.kept:
        out.print(f"in the way: {sentence}", highlight=False)
    for name in findings.unnamed if not findings.repaired else ():
        out.print(f"whole, and not named by the manifest: {name}", highlight=False)
    for name in findings.adopted:
        out.print(f"whole, and named by the manifest again: {name}", highlight=False)
    for place in findings.set_aside:
        out.print(f"not provably of this store, and moved away: {place}", highlight=False)
    sound = findings.shards - len(findings.damaged_shards) + len(findings.adopted)
    out.print(
        f"{folder}: {sound:,} whole shards, {findings.rows:,} rows, {findings.bytes / 1e6:,.1f} MB", highlight=False
    )
    if findings.problems and findings.repaired:
        out.print("repaired: run `armorm extract` to compute again what is lost")
    elif findings.problems:
        out.print("run `armorm cache verify --repair` to drop what is damaged, then `armorm extract`")
    elif findings.unnamed and not findings.repaired:
        out.print("`armorm cache verify --repair`, or the next `armorm extract`, names these shards again")
