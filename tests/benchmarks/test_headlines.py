"""Ratios that stand side by side for several machines are those of each machine's own table."""

import json
from pathlib import Path

import pytest

from benchmarks import gate, heads, store
from benchmarks.runs_kept import RUNS

MODULES = {"heads": heads, "heads-workers": heads, "gate": gate, "store": store}


def kept(name: str) -> list[Path]:
    return [path for path in RUNS.glob(f"*/{name}.json") if "conditions" in json.loads(path.read_text())]


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in MODULES for path in kept(name)])
def test_every_ratio_is_in_the_table(name: str, path: Path) -> None:
    report = json.loads(path.read_text())
    ratios = MODULES[name].headline(report)
    assert ratios
    cells = [cell.strip() for cell in MODULES[name].table(report).split("|")]
    for ratio_of, ratio in ratios.items():
        assert {f"{ratio:.2f}", f"{1 / ratio:.2f}", f"{1 / ratio:.1f}"} & set(cells), ratio_of


def test_a_report_that_was_cut_short_has_the_ratios_that_it_can_have() -> None:
    way = {"rows": 10, "seconds": 4.0}
    size = {"rows": 10, "ways": [{**way, "way": "authors"}]}
    assert heads.headline({"width": 8, "side_by_side": [size]}) == {}
    size["ways"].append({**way, "way": "ours", "seconds": 2.0})
    assert heads.headline({"width": 8, "side_by_side": [size]}) == {"authors' way : ours, time, 10 rows × 8": 2.0}
    result = {"way": "authors", "pairs": 5, "precision": "float32", "seconds": 3.0}
    assert gate.headline({"features": 8, "results": [result]}) == {}
