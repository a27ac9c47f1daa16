"""What a run took, and the settings it was made with, as the tables of a report."""

import json
from collections.abc import Iterator
from typing import Any

from evaluation.report.inputs import ReportInputs


def steps(run: ReportInputs) -> Iterator[dict[str, Any]]:
    """What each command took."""
    extract = run.extract
    tokens = (
        f"{extract['tokens_computed']:,} tokens computed on {extract['device']}, {extract['features_new']:,} features"
    )
    yield {
        "command": "extract",
        "seconds": extract["seconds"],
        "what": f"{tokens}, {extract['features_reused']:,} reused",
    }
    if run.heads:
        gigabytes = run.heads["peak_bytes"] / 1e9
        what = (
            f"{run.heads['rows']:,} rated responses, {len(run.objectives)} heads; at most {gigabytes:.2f} GB of memory"
        )
        yield {"command": "fit-heads", "seconds": run.heads["seconds"], "what": what}
    if run.gating:
        yield {
            "command": "train-gating",
            "seconds": run.gating["seconds"],
            "what": f"{run.gating['train_pairs']:,} pairs, and {run.gating['validation_pairs']:,} held out",
        }
    for name, suite in run.suites.items():
        yield {"command": f"eval --suite {name}", "seconds": suite.seconds, "what": f"{suite.rows:,} rows"}
    if run.ablations:
        variants = len(run.ablations["seconds_by_variant"])
        yield {"command": "ablate", "seconds": run.ablations["seconds"], "what": f"{variants:,} variants"}


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings key by key, as the recipe's file names them."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value):
                given = {name: part for name, part in item.items() if part not in (None, {}, [])}
                yield f"{prefix}{key}[{number}]", json.dumps(given, ensure_ascii=False)
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
