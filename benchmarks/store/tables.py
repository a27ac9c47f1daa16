"""The figures as Markdown; all ratios are computed here, to the first way at the same size."""

from collections.abc import Sequence
from typing import Any


def table(report: dict[str, Any]) -> str:
    """All tables of a report, as far as it has been measured."""
    parts = [_speed(report["results"], report["prompts"])]
    if "compression" in report:
        parts.append(_compression(report["compression"]))
    if "damage" in report:
        parts.append(_damage(report["damage"]))
    if "killed" in report:
        parts.append(_killed(report["killed"]))
    return "\n".join(parts)


def headline(report: dict[str, Any]) -> dict[str, float]:
    """Times of the first way to the store's, at the largest size: stream, 1 % of the rows by key, and writing."""
    lines = report["results"]
    largest = max(line["payload"] for line in lines)
    of_size = [line for line in lines if line["payload"] == largest]
    base, found = of_size[0], {}
    size = f"{base['rows']:,} × {base['width']:,}"
    for line in of_size:
        if line["way"].startswith("store"):
            for figure, name in (("stream_s", "stream"), ("hundredth_s", "1 % of the rows"), ("write_s", "write")):
                found[f"{base['way']} : {line['way']}, {name}, {size}"] = base[figure] / line[figure]
    return found


def _speed(lines: list[dict[str, Any]], prompts: int) -> str:
    heads = [
        *("payload", "way", "write MB/s", "ratio", "CPU s/GB", "open ms", "stream MB/s", "ratio", "CPU s/GB"),
        *("1 % of rows, ms", "times", "1 % by key, ms", f"{prompts:,} rows, s", "times"),
        *("bytes / payload", "memory grew, MB", "of it mapped file"),
    ]
    cells = []
    first: dict[tuple[int, int], dict[str, Any]] = {}
    for line in lines:
        base = first.setdefault((line["rows"], line["width"]), line)
        payload = line["payload"]
        cells.append(
            (
                f"{line['rows']:,} × {line['width']:,}, {payload / 1e6:,.0f} MB",
                line["way"],
                f"{payload / line['write_s'] / 1e6:,.0f}",
                f"{base['write_s'] / line['write_s']:.2f}",
                f"{line['write_cpu_s'] / payload * 1e9:.2f}",
                f"{1e3 * line['open_s']:.1f}",
                f"{payload / line['stream_s'] / 1e6:,.0f}",
                f"{base['stream_s'] / line['stream_s']:.2f}",
                f"{line['stream_cpu_s'] / payload * 1e9:.2f}",
                f"{1e3 * line['hundredth_s']:.1f}{' (by key)' if not line['by_number'] else ''}",
                f"{line['hundredth_s'] / base['hundredth_s']:.1f}",
                f"{1e3 * line['by_key_s']:.1f}" if "by_key_s" in line else "has none",
                f"{line['prompts_s']:.2f}" if "prompts_s" in line else "",
                f"{line['prompts_s'] / base['prompts_s']:.1f}" if "prompts_s" in line else "",
                f"{line['bytes'] / payload:.4f}",
                f"{line['stream_grew'] / 1e6:,.0f}",
                f"{line['stream_mapped'] / 1e6:,.0f}",
            )
        )
    return _markdown(heads, cells)


def _compression(lines: list[dict[str, Any]]) -> str:
    heads = ("float16 compressed", "bytes", "bytes left", "decoded, MB/s")
    cells = [(line["codec"], line["order"], f"{line['left']:.2f}", f"{line['mb_s']:,.0f}") for line in lines]
    return _markdown(heads, cells)


def _damage(lines: list[dict[str, Any]]) -> str:
    heads = ("one byte changed", "noticed, place named", "noticed", "values silently wrong", "no effect", "the error")
    cells = [
        (
            f"{line['way']}, {line['flips']} times",
            *(str(line[outcome]) for outcome in ("named", "noticed", "silent", "none")),
            _one_cell(line["error"]),
        )
        for line in lines
    ]
    return _markdown(heads, cells)


def _killed(lines: list[dict[str, Any]]) -> str:
    heads = [
        *("writer killed", "the reader finds", "rows read that were never written"),
        *("shards begun", "of them written again", "goes on, and is whole in the end"),
    ]
    cells = []
    for line in lines:
        kills = line["kills"]
        begun = [kill["written"] // line["shard_rows"] + 1 for kill in kills]
        again = [shards - kill["kept"] // line["shard_rows"] for shards, kill in zip(begun, kills, strict=True)]
        cells.append(
            (
                f"{line['way']}, {len(kills)} times",
                "; ".join(_counted([found(kill, line["shard_rows"]) for kill in kills])),
                _between([kill["wrong"] for kill in kills], "{:,}"),
                _between(begun, "{}"),
                _between(again, "{}"),
                f"{sum(kill['whole'] for kill in kills)} of {len(kills)}",
            )
        )
    return _markdown(heads, cells)


def found(kill: dict[str, Any], shard_rows: int) -> str:
    """Words for the rows that a reader found after one kill."""
    if kill["error"]:
        return f"an error ({_one_cell(kill['error'])})"
    if kill["wrong"]:
        return "rows that were never written, without a word"
    if kill["found"] < kill["written"]:
        return "fewer rows than were durable, without a word"
    if kill["found"] % shard_rows:
        return "a part of a shard, without a word"
    return "whole shards"


def _counted(texts: list[str]) -> list[str]:
    counts = {text: texts.count(text) for text in texts}
    return [text if count == len(texts) else f"{count} times {text}" for text, count in counts.items()]


def _between(values: list[int], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _one_cell(text: str) -> str:
    short = " ".join(text.split()).replace("|", "\\|")
    return short if len(short) <= 120 else short[:119] + "…"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
