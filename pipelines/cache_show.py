"""What `armorm cache …` prints for people."""

from typing import Any

from rich.table import Table

from pipelines.show import console


def show_status(result: dict[str, Any]) -> None:
    """One line per data set, and one about the store."""
    out = console()
    if result["extracted"]:
        table = Table("data set", "kind", title=f"features by data set: {result['store']}")
        for heading in ("rows", "features", "missing", "skipped", "MB", "fingerprint", "engine"):
            table.add_column(heading, justify="right")
        for name, dataset in result["datasets"].items():
            counts = (f"{dataset[key]:,}" for key in ("rows", "features", "missing", "skipped"))
            megabytes = f"{dataset['bytes'] / 1e6:,.1f}"
            table.add_row(name, dataset["kind"], *counts, megabytes, dataset["fingerprint"], dataset["engine"])
        out.print(table)
        out.print("a feature that several data sets share is counted at each of them, and stored once")
    else:
        out.print("no extraction of this recipe was finished yet: this is what its store holds so far")
    out.print(
        f"{result['store']}: {result['features']:,} features in {result['shards']:,} {result['format']} shards,"
        f" {len(result['layers'])} × {result['hidden_size']:,} {result['dtype']}; {result['bytes'] / 1e6:,.1f} MB,"
        f" {result['bytes'] / max(1, result['payload_bytes']):.3f} of the payload",
        highlight=False,
    )
    if result["skipped"]:
        out.print(f"{result['skipped']:,} keys are skipped: they have features that {result['dtype']} cannot hold")
    if result["leftovers"]["files"]:
        left = result["leftovers"]
        out.print(f"{left['files']} files of an interrupted run ({left['bytes'] / 1e6:,.1f} MB) are not part of it")


def show_findings(result: dict[str, Any]) -> None:
    """One sentence for each thing that is damaged, and one about the whole."""
    out = console()
    for problem in result["problems"]:
        out.print(f"damaged: {problem}", highlight=False)
    for name in result["adopted"]:
        out.print(f"whole, and named by the manifest again: {name}", highlight=False)
    sound = result["shards"] - len(result["damaged_shards"]) + len(result["adopted"])
    out.print(
        f"{result['store']}: {sound:,} whole shards, {result['rows']:,} rows, {result['bytes'] / 1e6:,.1f} MB",
        highlight=False,
    )
    if result["problems"] and result["repaired"]:
        out.print("repaired: run `armorm extract` to compute again what is lost")
    elif result["problems"]:
        out.print("run `armorm cache verify --repair` to drop what is damaged, then `armorm extract`")


def show_export(result: dict[str, Any]) -> None:
    """The files, and what is in them."""
    out = console()
    shape = " × ".join(f"{size:,}" for size in result["shape"])
    out.print(f"{shape} features ({result['bytes'] / 1e6:,.1f} MB) for {result['rows']:,} uses by rows:")
    for path in result["files"]:
        out.print(f"  {path}", highlight=False)
