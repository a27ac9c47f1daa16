"""`armorm demo-corpus`: self-made rows in the official schema of every data set."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.terminal import JsonOption, console, finish

EXAMPLE = "armorm demo-corpus --out data/demo"


def command(
    out: Annotated[Path, typer.Option(help="Folder to write; made if it does not exist.")] = Path("data/demo"),
    scale: Annotated[float, typer.Option(min=0.01, help="Size: 1 is the demo.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write self-made rows in the official schema of every data set."""
    from demo_corpus import write

    result = write(out, scale=scale, seed=seed)
    rows, files = sum(result["files"].values()), len(result["files"])
    finish(result, as_json, lambda: console().print(f"{rows:,} self-made rows in {files} files: {out}"))
