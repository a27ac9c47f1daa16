"""docs/families.md says which families run, and with which engine; here each of them does."""

import logging
from pathlib import Path

import pytest

from export import agreement, folder_scores
from tests.conftest import ROOT
from tests.export.family_chain import LARGEST, chain
from tests.export.family_models import FAMILIES, Family

PAGE = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")

FAST = ("Llama 3.x", "DeepSeek V3, R1", "Falcon")
"""One that packs, one whose trial of packing fails, one that has a prefix and an attention of its own."""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transformers run the exported class here, which saves its import in another process."""

    def scores(folder: Path, dtype: str, device: object) -> list[agreement.FolderScores]:
        sides = folder_scores.scores(str(folder), list(map(list, agreement.CONVERSATIONS)), dtype, str(device))
        return [agreement.FolderScores(**side) for side in sides]

    monkeypatch.setattr(agreement, "scores_by_transformers", scores)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, id=family.name, marks=[] if family.name in FAST else pytest.mark.slow)
        for family in FAMILIES
    ],
)
def test_a_family_does_what_the_page_says(family: Family, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    row = chain(family, tmp_path)
    assert row.line(family) in PAGE.splitlines()
    if row.refusal:
        assert "\n" not in row.refusal
        return
    assert row.difference <= LARGEST
    assert row.scores <= LARGEST
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert any("running padded batches instead" in line for line in said) == (row.engine == "padded")


def test_the_page_has_a_row_for_each_family_and_no_other() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if line.startswith("| ")]
    assert rows[1:] == [family.name for family in FAMILIES]
    done = sum(line.startswith("| ") and line.endswith("| yes | yes |") for line in PAGE.splitlines())
    assert done >= 14
