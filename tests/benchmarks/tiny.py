"""A benchmark of one figure, for the tests of `benchmarks.all`: it works, fails, or lacks a package, by its name."""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.conditions import Conditions


def table(report: dict[str, Any]) -> str:
    """The figure as a Markdown table."""
    return f"| rows |\n|---|\n| {report['rows']} |\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--end", choices=("fails", "lacks", "odd"))
    arguments = parser.parse_args()
    conditions = Conditions()
    sys.stdout.write("one line that a benchmark prints\n")
    if arguments.end == "fails":
        sys.exit("the disk is full: make room")
    if arguments.end == "lacks":
        import a_package_that_nobody_has  # noqa: F401
    figures = {"columns": 3} if arguments.end == "odd" else {"rows": 10 if arguments.quick else 1000}
    conditions.write(arguments.json, figures)


if __name__ == "__main__":
    main()
