"""`armorm extract` says what a chat template does, keeps it, and refuses one that cannot be used before any work."""

import json
import logging
from pathlib import Path

import pytest

from cache import UserError
from cache.progress import silent
from pipelines.commands.extract import extract, show
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import TINY
from tests.extract.chat_templates import LLAMA, NO_SYSTEM, REFUSED, USABLE
from tests.pipelines.small_run import small_run


def run_with(folder: Path, template: str, more: str = "") -> Run:
    recipe = small_run(folder, prompts=4)
    (folder / "template.jinja").write_text(template)
    text = recipe.read_text().replace(
        "max_tokens = 256", f'max_tokens = 256, chat_template = "{folder}/template.jinja"{more}'
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


FOLD = ', system_turns = "fold"'


def add_rows_with_a_system_turn(folder: Path) -> None:
    system = [{"system": "Be brief.", "prompt": f"{n}?", "response": "Yes.", "polite": 3} for n in range(3)]
    with (folder / "rated.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in system)


def test_the_summary_counts_the_rows_that_fold_would_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_with(tmp_path, NO_SYSTEM + LLAMA)
    add_rows_with_a_system_turn(tmp_path)
    result = extract(run, progress=silent)
    show(result, run)
    assert result.datasets["multi_objective"].skipped == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "3 rows are skipped for the reason that the chat template gives for a system turn: " in said
    assert "backbone.system_turns = 'fold' puts it in front of the user's text" in said
    folding = run_with(tmp_path / "folding", NO_SYSTEM + LLAMA, FOLD)
    add_rows_with_a_system_turn(tmp_path / "folding")
    result = extract(folding, progress=silent)
    show(result, folding)
    assert result.datasets["multi_objective"].skipped == 0
    assert "system turn" not in capsys.readouterr().out


def test_fold_computes_nothing_again_where_the_template_knows_system_turns(tmp_path: Path) -> None:
    own = (TINY / "chat_template.jinja").read_text()
    first = extract(run_with(tmp_path, own), progress=silent)
    again = extract(run_with(tmp_path, own, FOLD), progress=silent)
    assert first.features_new > 0
    assert again.features_new == 0
    assert again.fingerprint == first.fingerprint
