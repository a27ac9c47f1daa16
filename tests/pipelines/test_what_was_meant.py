"""A near miss is answered with what was probably meant."""

import json
from pathlib import Path

import pytest

from cache import UserError
from evaluation.scorers.sequence_classifier import SequenceClassifier
from extract.model_files import list_model
from pipelines.recipe import Recipe, read_recipe
from pipelines.suite_names import suite_named

RECIPE = Recipe.model_validate(
    {
        "name": "mine",
        "backbone": {"model": "org/name"},
        "pairs": [{"source": "shp"}],
        "debiasing": {"verbosity": "none"},
        "suites": [
            {"source": "preference_suite", "name": "shop", "path": "a.jsonl"},
            {"source": "preference_suite", "name": "bank", "path": "b.jsonl"},
            {"source": "rm_bench"},
        ],
    }
)


def test_a_suite_may_be_named_by_a_set_of_the_recipe(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert suite_named("rewardbench2", RECIPE) == "rewardbench2"
    assert caplog.text == ""
    assert suite_named("shop", RECIPE) == "own"
    assert "shop is judged as the suite 'own', with bank" in caplog.text
    assert suite_named("rm_bench", RECIPE) == "rmbench"
    with pytest.raises(UserError, match=r"--suite 'shopp' is not one of .*'own', 'shop', 'bank', 'rm_bench'"):
        suite_named("shopp", RECIPE)


@pytest.mark.parametrize(
    ("line", "meant"), [("rating = []", "ratings"), ("backbon = 1", "backbone"), ("[gate]\nstep = 5", "steps")]
)
def test_an_unknown_key_names_the_one_that_it_is_like(tmp_path: Path, line: str, meant: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nbackbone = {{ model = "a/b" }}\npairs = [{{ source = "shp" }}]\n{line}\n')
    with pytest.raises(UserError, match=f"is '{meant}' meant"):
        read_recipe(path)


def test_an_adapter_is_no_backbone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="is a LoRA adapter without its model: merge the two"):
        list_model(str(tmp_path), None, "backbone.model")


@pytest.mark.parametrize("table", [{"armorm": {"objectives": ["a"]}}, {"num_objectives": 19}])
def test_a_folder_with_objectives_is_no_plain_classifier(tmp_path: Path, table: dict[str, object]) -> None:
    import torch

    config = {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"], "num_labels": 1} | table
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="write armorm: in place of hf:"):
        SequenceClassifier(tmp_path, torch.device("cpu"))
