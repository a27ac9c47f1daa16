"""Figures of servers, and their table."""

import statistics
from typing import Any

import numpy as np

from benchmarks.serve.load import Round

ALONE = "one at a time, no server"
THIS = "armorm serve"
VLLM = "vLLM `/classify`"


def measured(server: str, clients: int | None, rounds: list[Round], expected: list[float | None]) -> dict[str, Any]:
    """One way as JSON holds it.

    Args:
        server: its name.
        clients: number of clients; None: no server.
        rounds: its rounds.
        expected: the numbers computed one at a time.
    """
    exact = np.asarray(expected, dtype=np.float64)
    got = np.asarray([each.numbers for each in rounds], dtype=np.float64)  # (rounds, conversations)
    latencies = np.concatenate([each.latencies for each in rounds])
    return {
        "server": server,
        "clients": clients,
        "requests_per_second": [len(each.numbers) / each.seconds for each in rounds],
        **dict(zip(("p50_ms", "p99_ms"), (1000 * np.percentile(latencies, [50, 99])).tolist(), strict=True)),
        "errors": int(np.isnan(got).sum()),
        "difference": float(np.nanmax(np.abs(got - exact)) / np.std(exact)),
    }


def table(report: dict[str, Any]) -> str:
    """The ways as a Markdown table, with ratios round by round: to one at a time, and of this server to each other one.

    "to armorm serve" is the rate relative to this project's server with as many clients: above 1, the other one wins.
    """
    results = report["results"]
    alone = next(each for each in results if each["server"] == ALONE)["requests_per_second"]
    ours = {each["clients"]: each["requests_per_second"] for each in results if each["server"] == THIS}
    lines = [
        "| server | clients | requests/s | to one at a time | to armorm serve | low to high | p50 | p99 | errors"
        " | difference |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        rates, clients = each["requests_per_second"], each["clients"]
        ratio, spread = "", ""
        if each["server"] not in (ALONE, THIS) and clients in ours:
            by_round = _ratios(rates, ours[clients])
            ratio, spread = f"{statistics.median(by_round):.2f}", f"{min(by_round):.2f} to {max(by_round):.2f}"
        lines.append(
            f"| {each['server']} | {clients or ''} | {statistics.median(rates):.1f}"
            f" | {statistics.median(_ratios(rates, alone)):.2f} | {ratio} | {spread}"
            f" | {each['p50_ms']:.0f} ms | {each['p99_ms']:.0f} ms | {each['errors']} | {each['difference']:.1e} |"
        )
    return "\n".join([*lines, ""])


def _ratios(rates: list[float], base: list[float]) -> list[float]:
    return [rate / other for rate, other in zip(rates, base, strict=True)]
