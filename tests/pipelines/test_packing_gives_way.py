"""An extraction whose trial of packing fails goes on in padded batches, and does not try again."""

from pathlib import Path
from typing import Any

import pytest

from cache import UserError
from cache.progress import silent
from extract.engines import packed
from extract.engines.packed_attention import CannotPackError
from pipelines.commands.extract import extract
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.small_run import small_run


def test_features_are_padded_ones_and_a_second_run_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def failing(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise CannotPackError("llama has sinks")

    monkeypatch.setattr(packed, "check_packing", failing)
    run = Run(read_recipe(small_run(tmp_path, prompts=4)))
    first = extract(run, progress=silent)
    assert (first.engine, first.packing_failed, first.features_new) == ("padded", "llama has sinks", 24)
    assert "llama has sinks: running padded batches instead" in caplog.messages
    caplog.clear()
    second = extract(run, progress=silent)
    assert (second.engine, second.features_new, second.fingerprint) == ("padded", 0, first.fingerprint)
    assert "llama has sinks: running padded batches instead" in caplog.messages
    assert len(tried) == 1


def test_a_run_with_packed_features_is_not_mixed_with_padded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_run(tmp_path, prompts=4)
    extract(Run(read_recipe(path)), progress=silent)

    def failing(*_: Any, **__: Any) -> None:
        raise CannotPackError("llama has sinks")

    monkeypatch.setattr(packed, "check_packing", failing)
    small_run(tmp_path, prompts=6)  # two more prompts to compute
    with pytest.raises(UserError, match="belongs to features with the fingerprint"):
        extract(Run(read_recipe(path)), progress=silent)
