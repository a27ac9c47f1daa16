"""The lines of docs/export.md run as they stand."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "export.md").read_text()


def test_the_page_is_run(random_folder: Callable[..., Path]) -> None:
    names: dict[str, Any] = {"folder": random_folder()}
    for kind in ("transformers", "project"):
        (lines,) = re.findall(rf"```python {kind}\n(.*?)```", PAGE, flags=re.DOTALL)
        exec(lines, names)  # noqa: S102
    ours = [names["good"].score, names["bad"].score]
    np.testing.assert_allclose(names["scores"].detach(), ours, rtol=1e-3, atol=1e-4)


def test_the_ten_lines_of_the_readme(random_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "README.md").read_text().partition("## Score text in ten lines")[2]
    lines = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(lines.replace("exported/demo", str(random_folder())), names)  # noqa: S102
    score, terms = capsys.readouterr().out.splitlines()
    by_objective: dict[str, float] = ast.literal_eval(terms)  # plain numbers, not np.float64(...)
    assert tuple(by_objective) == names["model"].objectives
    assert sum(by_objective.values()) == pytest.approx(float(score), rel=1e-12)
