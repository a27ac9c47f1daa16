"""The run of `benchmarks/gpu.sh` as one JSON file with its conditions, and its tables.

benchmarks/gpu.sh gpu-results.jsonl
python -m benchmarks.gpu gpu-results.jsonl --json benchmarks/runs/2026-11-27-h100/gpu.json
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from cache import UserError
from cache.durable import write_text

BASE = {"ways": "one at a time", "server": "one at a time, no server"}
"""Stage -> the way that the others are compared with."""


def assembled(lines: list[dict[str, Any]], note: str | None = None) -> dict[str, Any]:
    """The report of a run: its conditions, from the line of the stage `machine`, and all lines.

    Args:
        lines: figures as `gpu.sh` appends them.
        note: a sentence about the run.

    Raises:
        UserError: no line tells the machine.
    """
    about = next((line for line in lines if line["stage"] == "machine" and "device" in line), None)
    if about is None:
        raise UserError("the figures name no machine: run benchmarks/gpu.sh with the stage `machine`")
    versions = {"Python": about["python"], "torch": about["torch"], "transformers": about["transformers"]}
    conditions = {
        "date": about["date"],
        "command": "benchmarks/gpu.sh",
        "commit": about.get("commit"),  # runs before 2026-11-29 did not record it
        "machine": about["device"],
        "versions": versions | {"CUDA": about["cuda"], "driver": about["driver"]},
        "others": None,
        "busy": None,
    }
    return {"conditions": conditions, **({"note": note} if note else {}), "lines": lines}


def table(report: dict[str, Any]) -> str:
    """The ways to run a backbone, four times as many rows end to end, and the server, as Markdown tables."""
    parts = [f"This run was {report['note']}."] if "note" in report else []
    for stage, write in (("ways", _ways), ("end-to-end", _ways), ("server", _server)):
        if ways := _rounds(report, stage):
            about = next(line for line in report["lines"] if line["stage"] == stage and _way(line) is None)
            parts.append(write(stage, ways, about))
    return "\n\n".join(parts) + "\n"


def headline(report: dict[str, Any]) -> dict[str, float]:
    """Rates of the whole way from text to shards and of the server, to one conversation at a time."""
    ways, server = (_rounds(report, stage) for stage in ("ways", "server"))
    found = {"extract, end to end : one at a time": _ratio(ways["end to end"], ways[BASE["ways"]])}
    found["extract, packed and compiled : padded batches"] = _ratio(ways["packed, compiled"], ways["sorted, padded"])
    if server:
        eight = next(rounds for way, rounds in server.items() if way.endswith(", 8 clients"))
        found["server, 8 clients : one at a time"] = median(_to_base(eight, server[BASE["server"]]))
    return found


def _rounds(report: dict[str, Any], stage: str) -> dict[str, list[dict[str, Any]]]:
    """Way -> its lines, a line a round."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in report["lines"]:
        if line["stage"] == stage and (way := _way(line)) is not None:
            found.setdefault(way, []).append(line)
    return found


def _way(line: dict[str, Any]) -> str | None:
    """Name of the way of a line; None for a line about the stage."""
    if "server" not in line:
        return line.get("way")
    clients = line["clients"]
    return f"{line['server']}, {clients} client{'s' if clients > 1 else ''}" if clients else line["server"]


def _rate(line: dict[str, Any]) -> float:
    rate = line["requests_per_second"]
    return rate[0] if isinstance(rate, list) else rate  # a line is one round


def _to_base(lines: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[float]:
    """Rates of a server's rounds to those of the base in the same round."""
    return [_rate(line) / _rate(other) for line, other in zip(lines, base, strict=True)]


def _ratio(lines: list[dict[str, Any]], base: list[dict[str, Any]]) -> float:
    """How many times as fast as the base, by medians over rounds."""
    return _seconds(base) / _seconds(lines)


def _seconds(lines: list[dict[str, Any]]) -> float:
    return median(line["seconds"] for line in lines)


def _ways(stage: str, ways: dict[str, list[dict[str, Any]]], about: dict[str, Any]) -> str:
    repeated = about["repeated_tokens"] / about["unique_tokens"]
    text = [
        f"{about['sequences']:,} sequences, {about['unique_tokens']:,} unique tokens ({repeated:.2f} × with repeated"
        f" prompts), packs of {about['pack_tokens']:,} tokens; a large product runs at {about['matmul_tflops']:,.0f}"
        f" TFLOP/s; medians over rounds ({max(map(len, ways.values()))}):",
        "",
        "| way | sequences/s | ratio | in each round | unique tokens/s | of the matmul rate | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, rounds in ways.items():
        ratio, each = "", ""
        if (base := ways.get(BASE.get(stage, ""))) is not None:
            ratio = f"{_ratio(rounds, base):.2f}"
            each = ", ".join(
                f"{other['seconds'] / line['seconds']:.2f}" for line, other in zip(rounds, base, strict=True)
            )
        cells = [
            way,
            f"{about['sequences'] / _seconds(rounds):.1f}",
            *(ratio, each if rounds is not base else ""),
            f"{about['unique_tokens'] / _seconds(rounds):,.0f}",
            f"{rounds[0]['of_matmul_rate'] * rounds[0]['seconds'] / _seconds(rounds):.1%}",
            f"{median(line['error'] for line in rounds):.1e}",
        ]
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text)


def _server(stage: str, ways: dict[str, list[dict[str, Any]]], about: dict[str, Any]) -> str:
    text = [
        f"The server with a model of the same shape, {about['conversations']} conversations, medians over rounds"
        f" ({max(map(len, ways.values()))}):",
        "",
        "| way | requests/s | ratio | in each round | p50 | p99 | errors | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, rounds in ways.items():
        cells = [
            way,
            f"{median(map(_rate, rounds)):.1f}",
            f"{median(_to_base(rounds, ways[BASE[stage]])):.2f}",
            "" if way == BASE[stage] else ", ".join(f"{ratio:.2f}" for ratio in _to_base(rounds, ways[BASE[stage]])),
            f"{median(line['p50_ms'] for line in rounds):.0f} ms",
            f"{median(line['p99_ms'] for line in rounds):.0f} ms",
            str(sum(line["errors"] for line in rounds)),
            f"{max(line['difference'] for line in rounds):.1e}",
        ]
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="JSON lines of benchmarks/gpu.sh")
    parser.add_argument("--json", type=Path, help="file to write the report to")
    parser.add_argument("--note", help="what to say of the run, after 'This run was'")
    arguments = parser.parse_args()
    try:
        lines = [json.loads(line) for line in arguments.figures.read_text(encoding="utf-8").splitlines() if line]
        report = assembled(lines, arguments.note)
    except (OSError, ValueError, UserError) as error:
        sys.exit(f"{arguments.figures}: {error}")
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
