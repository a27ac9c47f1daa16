"""`armorm extract` says what a chat template does, keeps it, and refuses one that cannot be used before any work."""

import logging
from pathlib import Path

import pytest

from cache import UserError
from cache.progress import silent
from pipelines.commands.extract import extract
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.extract.chat_templates import REFUSED, USABLE
from tests.pipelines.small_run import small_run


def run_with(folder: Path, template: str) -> Run:
    recipe = small_run(folder, prompts=4)
    (folder / "template.jinja").write_text(template)
    text = recipe.read_text().replace(
        "max_tokens = 256", f'max_tokens = 256, chat_template = "{folder}/template.jinja"'
    )
    recipe.write_text(text)
    return Run(read_recipe(recipe))


def test_the_findings_are_printed_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = run_with(tmp_path, USABLE["dated"].template)
    extract(run, progress=silent)
    assert run.extracted.template is not None
    assert run.extracted.template.date == "2024-07-26"
    lines = [record.message for record in caplog.records]
    assert "it asks for today's date, and is given 2024-07-26 on every day" in lines
    assert sum("<|eot_id|>«prompt»<|start_header_id|>assistant" in line for line in lines) == 1
    assert extract(run, progress=silent).features_new == 0


def test_a_template_that_cannot_be_used_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    template, reason = REFUSED["drops text"]
    run = run_with(tmp_path, template)
    (tmp_path / "rated.jsonl").unlink()
    with pytest.raises(UserError, match=reason):
        extract(run, progress=silent)
