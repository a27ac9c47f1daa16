"""The runs that are kept: `benchmarks/runs/<machine>/<name>.json`, and what a document says of each."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import UserError

RUNS = Path(__file__).parent / "runs"
FOLDER = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)-(?P<cpu>[a-z0-9-]+)")
MAKERS = re.compile(r"\((?:r|tm)\)|@.*|\b(?:amd|intel|nvidia|cpu|processor|\d+-core|\d+gb|hbm\w*)\b")
"""Parts of a processor's model name that tell no machine from another."""


@dataclass(frozen=True)
class Run:
    """One run of one benchmark, as its JSON file holds it."""

    path: Path
    report: dict[str, Any]

    @property
    def conditions(self) -> dict[str, Any]:
        """Conditions of the run; empty for a file from before they were written."""
        return self.report.get("conditions", {})

    @property
    def date(self) -> str:
        """Day of the run, YYYY-MM-DD."""
        named = FOLDER.fullmatch(self.path.parent.name)
        if named is None:
            raise UserError(f"{self.path.parent}: name the folder date and processor, such as 2026-11-28-epyc-2")
        return self.conditions.get("date") or named["date"]

    @property
    def machine(self) -> str:
        """Processor and number of cores, as far as the run recorded them."""
        if not self.conditions:
            return self.report.get("machine") or self.report.get("device") or "machine not recorded"
        if (cpu := self.conditions.get("cpu")) is None:
            return self.conditions["machine"]
        units = f" ({', '.join(cpu['units'])})" if cpu["units"] else ""
        gpu = f"{self.conditions['gpu']}, " if self.conditions["gpu"] else ""
        return f"{gpu}{cpu['model']}{units}, {self.conditions['cores']} cores"

    @property
    def other_work(self) -> str:
        """Words for what other processes took of the processor."""
        if (busy := self.conditions.get("busy")) is None:
            return "other work: not recorded"
        others = self.conditions["others"]
        share = "a share that is not known" if others is None else f"{others:.0%} of the cores' time"
        return f"**measured beside other work** ({share})" if busy else f"other work: {share}"

    def line(self, packages: tuple[str, ...]) -> str:
        """One line of date, machine, versions, commit and other work.

        Args:
            packages: names of the packages whose versions matter; those of the report's own `versions` are added.
        """
        own = self.report.get("versions", {}) | self.report.get("packages", {})
        known = {"Python": self.report.get("python")} | self.conditions.get("versions", {}) | own
        versions = [f"{name} {known[name]}" for name in dict.fromkeys(("Python", *packages, *own)) if known.get(name)]
        commit = [f"commit {self.conditions['commit']}"] if self.conditions.get("commit") else []
        return ", ".join([self.date, self.machine, *versions, *commit]) + f"; {self.other_work}."


def runs_of(name: str, folder: Path = RUNS) -> list[Run]:
    """All kept runs of a JSON name, the newest first.

    Raises:
        UserError: a file is no JSON object, or its folder is not named by date and processor.
    """
    runs = []
    for path in sorted(folder.glob(f"*/{name}.json"), reverse=True):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error}): measure again, or remove the file") from None
        if not isinstance(report, dict):
            raise UserError(f"{path} holds no JSON object: measure again, or remove the file")
        runs.append(Run(path, report))
    return sorted(runs, key=lambda run: run.date, reverse=True)


def folder_name(conditions: dict[str, Any]) -> str:
    """Name of the folder for a run with these conditions: date, processor and cores, or date and GPU.

    Examples are '2026-11-28-epyc-9b14-2' and '2026-11-27-h100'.
    """
    model = conditions["gpu"] or conditions["cpu"]["model"]
    words = re.findall(r"[a-z0-9]+", MAKERS.sub(" ", model.lower())) or ["cpu"]
    return "-".join([conditions["date"], *words, *([] if conditions["gpu"] else [str(conditions["cores"])])])
