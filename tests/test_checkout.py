"""Git keeps no link: one would lead out of the checkout, or a copy of it round in circles."""

import subprocess

import pytest

from tests.conftest import ROOT

LINK = "120000"
"""Mode of a symbolic link in git's index."""


def test_no_link_is_kept() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert listed
    assert [line for line in listed.splitlines() if line.startswith(LINK)] == []
