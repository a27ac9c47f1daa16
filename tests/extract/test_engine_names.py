"""The names of engines stand in one place, and are known without importing an engine."""

import subprocess
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from extract.engines import ENGINES
from extract.settings import EngineName, ExtractSettings


def test_the_recipe_takes_the_engines_of_the_registry_and_no_other() -> None:
    assert get_args(EngineName) == tuple(ENGINES)
    assert [ExtractSettings(engine=name).engine for name in ENGINES] == list(ENGINES)
    with pytest.raises(ValidationError, match="'packed', 'padded', 'sequential' or 'vllm'"):
        ExtractSettings(engine="fast")


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_where_the_registry_says(name: str) -> None:
    assert callable(ENGINES[name].features)  # type: ignore[attr-defined]


def test_the_names_are_known_without_torch() -> None:
    code = "import sys; from extract.settings import EngineName; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
