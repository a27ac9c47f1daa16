"""The documents say what the code does."""

import re

from pipelines.reference import cli_page, recipe_page
from tests.pipelines.conftest import ROOT


def test_the_page_of_recipe_keys_is_the_codes_own() -> None:
    assert (ROOT / "docs" / "recipe.md").read_text() == recipe_page()


def test_the_page_of_commands_is_the_codes_own() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == cli_page()


def test_every_key_is_explained() -> None:
    unexplained = re.findall(r"^\| `(\w+)` \|.*\| *\|$", recipe_page(), flags=re.MULTILINE)
    assert unexplained == []


def test_every_target_and_file_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = [word for line in re.findall(r"make ([a-z -]+)", readme) for word in line.split()]
    assert {word for word in named if "-" in word or word in ("demo", "test", "help", "extract")} <= targets
    for link in re.findall(r"\]\(([\w./-]+\.(?:md|toml))\)", readme):
        assert (ROOT / link).is_file(), link
