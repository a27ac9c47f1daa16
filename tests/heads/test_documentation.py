"""The lines of docs/other-heads.md run as they stand, and its keys are the recipe's."""

import re
import tomllib

import numpy as np

from heads.settings import OtherHeadSettings
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "other-heads.md").read_text()


def test_the_estimators_are_used_as_the_page_says() -> None:
    (lines,) = re.findall(r"```python heads\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(lines, names)  # noqa: S102
    np.testing.assert_array_equal(names["ordinal"].classes_, [1, 2, 3, 4, 5])  # type: ignore[attr-defined]


def test_the_table_of_the_recipe_is_valid_and_names_every_head() -> None:
    (lines,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    settings = OtherHeadSettings.model_validate(tomllib.loads(lines)["other_heads"])
    assert settings.fit == ("slic", "mlp", "ordinal", "quantile", "gaussian")
    assert settings.layers == (-1,)
