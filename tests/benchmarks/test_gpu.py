"""The run of benchmarks/gpu.sh: its lines become one file with conditions, and tables."""

import json
from typing import Any

import pytest

from benchmarks.gpu import assembled, headline, table
from benchmarks.runs_kept import RUNS
from cache import UserError

KEPT = RUNS / "2026-11-27-h100" / "gpu.json"


@pytest.fixture
def report() -> dict[str, Any]:
    """The kept run on an H100."""
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def test_lines_become_the_kept_file(report: dict[str, Any]) -> None:
    assert assembled(report["lines"], report["note"]) == report


def test_lines_without_a_machine_are_refused(report: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="the figures name no machine: run"):
        assembled([line for line in report["lines"] if line["stage"] != "machine"])


def test_ratios_are_those_of_the_server_benchmark_itself(report: dict[str, Any]) -> None:
    assert "| server, 8 clients | 54.8 | 6.22 | 8.45, 3.99 |" in table(report)  # each line has its own ratio too


def test_lines_that_name_server_and_clients_give_the_same_figures(report: dict[str, Any]) -> None:
    before, ratios = table(report), headline(report)
    for line in report["lines"]:
        if line["stage"] == "server" and "way" in line:
            way = line.pop("way")
            del line["ratio"]
            clients = way.partition(", ")[2]
            alone = clients == "no server"
            line["server"], line["clients"] = (way, None) if alone else ("armorm serve", int(clients.split()[0]))
            line["requests_per_second"] = [line["requests_per_second"]]
    after = table(report)
    assert headline(report) == ratios
    assert after.replace("| armorm serve, ", "| server, ") == before


def test_a_run_that_was_cut_short_has_the_tables_of_what_it_measured(report: dict[str, Any]) -> None:
    report["lines"] = [line for line in report["lines"] if line["stage"] in ("machine", "ways")]
    assert "| end to end | 156.3 | 7.32 |" in table(report)
    assert "The server" not in table(report)
    assert list(headline(report)) == [
        "extract, end to end : one at a time",
        "extract, packed and compiled : padded batches",
    ]
