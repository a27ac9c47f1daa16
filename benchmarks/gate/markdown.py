"""The gate's figures as Markdown tables."""

from typing import Any

NAMES = {
    "ours": "ours",
    "ours-float32": "ours",
    "authors": "authors' loop, corrected",
    "authors-standardised": "the same on standardised features",
    "authors-standardised-stopped": "standardised, with early stopping",
    "authors-standardised-bfloat16": "standardised, autocast",
    "authors-standardised-stopped-bfloat16": "standardised, with early stopping, autocast",
}
"""Way -> its name in the tables."""


def table(report: dict[str, Any]) -> str:
    """The results as Markdown; ratios and differences are to ours at the same number of pairs."""
    results = report["results"]
    head = ("pairs", "way", "seconds", "time : ours", "steps", "judged right", "to ours, points", "peak memory")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ours = {result["pairs"]: result for result in results if result["way"] == "ours"}
    for result in results:
        beside = ours.get(result["pairs"])
        is_ours = result["way"] == "ours"
        cells = [
            f"{result['pairs']:,}",
            f"{NAMES[result['way']]}, {result['precision']}",
            f"{result['seconds']:.1f}",
            f"{result['seconds'] / beside['seconds']:.2f}" if beside else "",
            f"{result['steps']:,}" + (f" (selected: {result['best_step']:,})" if "best_step" in result else ""),
            f"{result['accuracy']:.2%}",
            f"{100 * (result['accuracy'] - beside['accuracy']):+.2f}" if beside and not is_ours else "",
            f"{result['peak_bytes'] / 1e9:.2f} GB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for pairs, result in sorted(ours.items()):
        lines.append(
            f"\n{pairs:,} pairs: planted weights judge {result['oracle']:.2%} right, equal weights"
            f" {result['uniform']:.2%}; {report['test_pairs']:,} pairs to judge on"
        )
    lines += [f"\nLeft out: {NAMES[way]}, since {reason}" for way, reason in report["left_out"].items()]
    return "\n".join(lines) + "\n"


def headline(report: dict[str, Any]) -> dict[str, float]:
    """Times of the other ways to ours."""
    results = report["results"]
    ours = {result["pairs"]: result["seconds"] for result in results if result["way"] == "ours"}
    return {
        f"{NAMES[each['way']]}, {each['precision']} : ours, time, {each['pairs']:,} pairs × {report['features']:,}": (
            each["seconds"] / ours[each["pairs"]]
        )
        for each in results
        if each["way"] != "ours" and each["pairs"] in ours
    }
