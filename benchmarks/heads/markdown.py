"""The heads' figures as Markdown tables."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

NAMES = {
    "authors": "authors' way",
    "normal_equations": "normal equations",
    "ours": "ours",
    "saved": "ours, statistics saved",
    "workers": "ours, statistics saved, by workers",
}
"""Way -> its name in the tables."""

BEYOND = (
    "The normal equations answer one question: another alpha, a subset of the rows or another objective is another"
    " pass, and rating patterns are known beforehand. Ours keeps sums from which every alpha, data set, fraction of the"
    " rows, objective and layer is a solve; it goes on where it was ended, adds rows without reading the old ones,"
    " takes any rating pattern, and keeps small groups as rows."
)
"""Sentence under the tables, for their times do not show it."""


def table(report: dict[str, Any]) -> str:
    """All tables that a report has figures for, in Markdown."""
    parts = []
    if sizes := report.get("side_by_side"):
        parts += [_side_by_side(sizes, report["width"]), _agreements(sizes), BEYOND]
    if full := report.get("full_size"):
        parts.append(_full_size(full, report["width"]))
    if several := report.get("by_workers"):
        parts.append(_by_workers(several, report["width"]))
    if "blas" in report:  # runs from before 2026-11-29 do not say
        parts.append(_blas(report["blas"]))
    return "\n\n".join(parts) + "\n"


def headline(report: dict[str, Any]) -> dict[str, float]:
    """Times of the other ways to ours, and of several processes to one."""
    found = {}
    for size in report.get("side_by_side", []):
        if ours := _of(size["ways"], "ours"):
            for way in ("authors", "normal_equations"):
                if others := _of(size["ways"], way):
                    ratio = _median(others, "seconds") / _median(ours, "seconds")
                    found[f"{NAMES[way]} : ours, time, {size['rows']:,} rows × {report['width']:,}"] = ratio
    if several := report.get("by_workers"):
        one, workers = (
            median(each["pass"] + each["save"] for each in _of(several["ways"], way)) for way in ("saved", "workers")
        )
        rows = f"{several['rows']:,} rows × {report['width']:,}"
        found[f"{several['workers']} workers : one process, the pass and saving, {rows}"] = workers / one
    return found


def _side_by_side(sizes: Sequence[dict[str, Any]], width: int) -> str:
    lines = []
    authors = [each for size in sizes for each in _of(size["ways"], "authors")]
    for size in sizes:
        ours = _of(size["ways"], "ours")
        if not ours:  # the run was cut short
            continue
        seconds, peak = _median(ours, "seconds"), _median(ours, "peak_bytes")
        for way in ("authors", "normal_equations", "ours"):
            found, note = _of(size["ways"], way), ""
            if way == "authors" and authors and not any(each["rows"] == size["rows"] for each in found):
                found, note = [_extrapolated(authors, size["rows"], width)], ", extrapolated"
            if not found:
                continue
            taken, bytes_ = _median(found, "seconds"), _median(found, "peak_bytes")
            lines.append(
                (
                    f"{size['rows']:,}",
                    NAMES[way] + note,
                    f"{taken:.1f} s",
                    _range([each["seconds"] for each in found]),
                    f"{_median(found, 'pass'):.1f} s" if "pass" in found[0] else "",
                    f"{taken / seconds:.2f}",
                    f"{bytes_ / 1e9:.2f} GB",
                    f"{bytes_ / peak:.2f}",
                )
            )
    head = ("rows", "way", "all", "low to high", "reading and summing", "time : ours", "peak memory", "memory : ours")
    return f"Features of {width:,} values, 19 objectives in seven rating patterns, nine alphas:\n\n" + _rows(
        head, lines
    )


def _extrapolated(authors: Sequence[dict[str, Any]], rows: int, width: int) -> dict[str, Any]:
    """The authors' time and memory at more rows than were measured.

    The time is on the line through the two largest sizes, since a fit's factor costs the same at any size; with one
    size, in proportion, which is too much. The memory grows by the two copies of the features that their code holds.
    """
    measured = sorted({each["rows"]: each for each in authors}.items())
    largest, last = measured[-1]
    seconds = last["seconds"] * rows / largest
    if len(measured) > 1:
        smaller, before = measured[-2]
        slope = (last["seconds"] - before["seconds"]) / (largest - smaller)
        seconds = last["seconds"] + slope * (rows - largest)
    return {"seconds": seconds, "peak_bytes": last["peak_bytes"] + 2 * 4 * width * (rows - largest)}


def _agreements(sizes: Iterable[dict[str, Any]]) -> str:
    lines = [
        (
            f"{size['rows']:,}",
            NAMES[way],
            f"{found['coefficients_from_float64']:.1e}",
            "the same" if found["same_alphas"] else "others",
            f"{found['validation_loss_at_the_choice']:.1e}",
            f"{found['validation_loss_anywhere']:.1e}",
        )
        for size in sizes
        for way, found in size.get("agreement", {}).items()
    ]
    head = ("rows", "way", "heads from float64", "alphas as ours", "losses from ours, chosen", "losses from ours, all")
    return _rows(head, lines)


def _full_size(full: dict[str, Any], width: int) -> str:
    ours = {each["rows"]: each for each in _of(full["ways"], "saved")}
    agreed = {each["rows"]: each for each in full["agreement"]}
    lines = []
    for each in full["ways"]:
        beside = ours.get(each["rows"])
        lines.append(
            (
                f"{each['rows']:,} × {width:,}",
                NAMES[each["way"]],
                f"{each['seconds']:.1f} s",
                f"{each['pass']:.1f} s",
                f"{each['save']:.1f} s" if "save" in each else "",
                f"{each['seconds'] - each['pass'] - each.get('save', 0.0):.1f} s",
                f"{each['seconds'] / beside['seconds']:.2f}" if beside else "",
                f"{each['peak_bytes'] / 1e9:.2f} GB" + _of_workers(each, full["workers"]),
                f"{each['statistics_bytes'] / 1e9:.2f} GB" if "statistics_bytes" in each else "nothing kept",
            )
        )
    head = ("rows", "way", "all", "reading and summing", "saving", "solves", "time : ours", "peak memory", "on disk")
    apart = [
        f"{rows:,} rows: {'the same alphas' if each['same_alphas'] else 'other alphas'}, heads apart by"
        f" {each['coefficients']:.1e}, losses by {each['validation_loss_anywhere']:.1e}"
        for rows, each in agreed.items()
    ]
    return _rows(head, lines) + "\n\n" + "; ".join(apart)


def _of_workers(way: dict[str, Any], workers: int) -> str:
    return f" and {workers} × {way['largest_worker_bytes'] / 1e9:.2f} GB" if way["way"] == "workers" else ""


def _by_workers(several: dict[str, Any], width: int) -> str:
    names = {
        "saved": "one process, a thread a core",
        "workers": f"{several['workers']} workers",
        "resumed": f"{several['workers']} workers, of which one was killed before",
    }
    lines = []
    passes = {way: [each["pass"] + each["save"] for each in _of(several["ways"], way)] for way in names}
    for way, name in names.items():
        found = _of(several["ways"], way)
        if not found or not passes["saved"]:
            continue
        lines.append(
            (
                name,
                f"{_median(found, 'processor_seconds'):.1f} s",
                f"{median(passes[way]):.1f} s",
                _range(passes[way]),
                f"{median(passes[way]) / median(passes['saved']):.2f}",
                f"{max(each['peak_bytes'] for each in found) / 1e9:.2f} GB",
                "" if way == "saved" else f"{max(each['largest_worker_bytes'] for each in found) / 1e9:.2f} GB",
            )
        )
    head = ("", "processor", "the pass and saving", "low to high", "time : one", "peak memory", "a worker's")
    text = f"{several['rows']:,} rows × {width:,}:\n\n" + _rows(head, lines)
    if "sums" in several:
        text += (
            f"\n\n{'The same' if several['same_alphas'] else 'Other'} alphas; heads apart by"
            f" {several['coefficients']:.1e}, entries of x x' by {several['sums']:.1e} of the diagonal's;"
            f" the run that went on has {'the same' if several['resumed_the_same_to_the_bit'] else 'other'} bytes."
        )
    return text


def _blas(found: dict[str, Any]) -> str:
    kernels = sorted(
        {f"{each['internal_api']} {each['version']}, {each['architecture']} kernels" for each in found["libraries"]}
    )
    slowed = [f"{name}={value}" for name, value in found["environment"].items()]
    return f"BLAS: {'; '.join(kernels)}" + (f"; slowed by {', '.join(slowed)}" if slowed else "")


def _of(ways: Iterable[dict[str, Any]], way: str) -> list[dict[str, Any]]:
    return [each for each in ways if each["way"] == way and "error" not in each]


def _median(found: Iterable[dict[str, Any]], figure: str) -> float:
    return float(median(each[figure] for each in found))


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""


def _rows(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines))
