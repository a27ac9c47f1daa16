"""Log lines of the project are shown, those of libraries are not."""

import subprocess
import sys
import tomllib
from pathlib import Path

from pipelines.cli import ROOMS

SCRIPT = """
import logging, sys
from pipelines import cli
cli.app = lambda: None
cli.main()
logging.getLogger("extract.run").info("ours")
for library in ("httpx", "httpx2", "openai._base_client", "a_library_of_next_year"):
    logging.getLogger(library).info("HTTP Request: POST")
logging.getLogger("httpx2").warning("a library's warning")
"""


def test_only_the_project_logs_what_it_does() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["ours", "a library's warning"]


def test_every_package_is_heard() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.removesuffix("*") for package in packages} == set(ROOMS)
