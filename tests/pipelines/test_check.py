"""`armorm check` on a mirror of the published recipe's sets in their official layouts, and on each deviation."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache import UserError
from extract.check.results import Check
from pipelines.commands.check import check
from pipelines.commands.extract import extract, find
from pipelines.recipe import read_recipe
from pipelines.results import to_json
from pipelines.run import Run
from tests.conftest import ROOT, TINY
from tests.extract import official_mirror
from tests.extract.hub_server import GATED, Fault, Hub, serving, use
from tests.pipelines.conftest import armorm
from tests.pipelines.small_run import small_run

OFFICIAL = ROOT / "recipes" / "armorm-llama3-8b.toml"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official_mirror.write(tmp_path_factory.mktemp("official"))


@pytest.fixture
def quiet() -> Callable[..., None]:
    return lambda *_: None


@pytest.fixture
def own(mirror: Path, tmp_path: Path) -> Path:
    """A copy of the mirror to spoil."""
    return Path(shutil.copytree(mirror, tmp_path / "mirror"))


def official(folder: Path, **changes: Any) -> Run:
    """The run of the published recipe with the bundled backbone, its results below `folder`."""
    recipe = read_recipe(OFFICIAL)
    backbone = recipe.backbone.model_copy(update={"model": str(TINY), "dtype": "float32", "max_tokens": 2048})
    store = recipe.store.model_copy(update={"root": folder / "features"})
    engine = recipe.extract.model_copy(update={"pack_tokens": 2048})
    settings = {"backbone": backbone, "store": store, "extract": engine, "runs": folder / "runs"}
    return Run(recipe.model_copy(update=settings | changes))


def lines(found: Check) -> list[str]:
    """The problems, without the lines of the recipe."""
    return [replace(problem, where=None).line for problem in found.problems]


def test_the_official_layouts_are_all_read(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.check.run.MOST_BYTES_TO_LOAD", 0)
    found = check(official(tmp_path), data_root=mirror)
    assert lines(found) == []
    recipe = read_recipe(OFFICIAL)
    read_from_files = [one for one in (*recipe.ratings, *recipe.pairs, *recipe.suites) if one.source != "derived"]
    assert list(found.datasets) == [one.name for one in read_from_files]
    assert all(one.rows_read > 0 and one.rows is not None for one in found.datasets.values())
    assert found.datasets["shp"].files == 18
    assert found.datasets["m_reward_bench"].files == 23
    assert found.datasets["m_reward_bench"].rows == 23 * 8
    assert found.datasets["hh_rlhf"].files == 4
    assert found.datasets["beavertails"].commercial_use_forbidden
    assert not found.datasets["helpsteer"].commercial_use_forbidden
    assert all(one.skipped_fraction == 0 for one in found.datasets.values() if one.kind == "suite")
    assert "«prompt»" in found.template[0]
    estimate = found.estimate
    assert estimate is not None
    assert estimate.tokens is not None
    assert estimate.features is not None
    assert estimate.feature_bytes == estimate.features * 256 * 2
    assert estimate.hours is None


def test_extract_takes_every_set(mirror: Path, tmp_path: Path, quiet: Callable[..., None]) -> None:
    result = extract(official(tmp_path), data_root=mirror, limit=2, progress=quiet)
    assert all(one.used > 0 for one in result.datasets.values() if one.kind != "pairs")
    assert result.missing == {}
    assert result.licences["beavertails"] == "cc-by-nc-4.0"
    assert result.licences["shp"] is None


def rename(path: Path) -> None:
    path.rename(path.with_name("renamed.bin"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html>\n<html><body>Log in</body></html>\n")


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def drop(column: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        pq.write_table(pq.read_table(path).drop_columns([column]), path)

    return spoil


def rescale(path: Path) -> None:
    """Ratings of 1 to 5 where the recipe says 1 to 10."""
    table = pq.read_table(path)
    for name in ("chosen_rating", "rejected_rating"):
        old = table[name].to_pylist()
        at = table.column_names.index(name)
        table = table.set_column(at, name, [[1 + 4 * (value - 1) / 9 for value in old]])
    pq.write_table(pa.concat_tables([table] * 3), path)


def own_rows(path: Path) -> None:
    path.write_text("".join(json.dumps({"question": "Q", "answer": "A"}) + "\n" for _ in range(5)))


DEVIATIONS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "renamed": (
        "nvidia/HelpSteer/train.jsonl.gz|nvidia/HelpSteer/validation.jsonl.gz",
        rename,
        "helpsteer: no file in .*HelpSteer matches train.jsonl.*: put the files there",
    ),
    "missing column": (
        "argilla/distilabel-capybara-dpo-7k-binarized/data/train-00000-of-00001.parquet",
        drop("rating_chosen"),
        r"capybara: a part of each of the \d+ rows of data/train.* \(column 'rating_chosen' is missing.*: check",
    ),
    "missing column of all": (
        "allenai/reward-bench/data/filtered-00000-of-00001.parquet",
        drop("subset"),
        r"reward_bench: none of the \d+ rows of data/filtered.*column 'subset' is missing.*: check `source`",
    ),
    "other scale": (
        "argilla/distilabel-math-preference-dpo/data/train-00000-of-00001-f59ecdcaca8c1de3.parquet",
        rescale,
        "math_preference: the ratings 'ultrafeedback-instruction_following' that were read go from 1 to 5, the lower"
        " half of the recipe's scale of 1 to 10: if the set's scale is 1 to 5, give it with `scale` or `scales`",
    ),
    "truncated Parquet": (
        "coseal/CodeUltraFeedback/data/train-00000-of-00001.parquet",
        cut,
        r"code_ultrafeedback: data/train-00000-of-00001.parquet is cut or damaged \(.*: remove it and fetch it again",
    ),
    "HTML": (
        "THU-KEG/RM-Bench/total_dataset.json",
        html,
        "rm_bench: total_dataset.json is a page of HTML, .*: remove it and fetch it again",
    ),
    "Git LFS": (
        "prometheus-eval/Feedback-Collection/new_feedback_collection.json",
        pointer,
        "prometheus: new_feedback_collection.json is a Git LFS pointer .*: run `git lfs pull`",
    ),
    "empty": (
        "ScalerLab/JudgeBench/data/claude-00000-of-00001.jsonl",
        empty,
        "judge_bench: data/claude-00000-of-00001.jsonl is empty: remove it and fetch it again",
    ),
    "cut xz": (
        "PKU-Alignment/BeaverTails/round0/330k/train.jsonl.xz",
        cut,
        "beavertails: round0/330k/train.jsonl.xz is not compressed as its name says, or damaged",
    ),
    "other rows": (
        "jinzhuoran/RAG-RewardBench/Dataset/citation.jsonl",
        own_rows,
        "rag_reward_bench: none of the 5 rows of Dataset/citation.jsonl .*column 'prompt' is missing",
    ),
}


def test_every_deviation_is_named_in_one_run(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.check.run.MOST_BYTES_TO_LOAD", 0)
    for paths, spoil, _ in DEVIATIONS.values():
        for path in paths.split("|"):
            spoil(own / path)
    found = lines(check(official(tmp_path), data_root=own))
    assert len(found) == len(DEVIATIONS)
    for name, (_, _, expected) in DEVIATIONS.items():
        assert [line for line in found if re.match(expected, line)], (name, found)
    with pytest.raises(UserError) as caught:
        extract(official(tmp_path), data_root=own, progress=lambda *_: None)
    assert f"{len(DEVIATIONS)} things stand in the way" in str(caught.value)
    assert not (tmp_path / "features").exists()


@pytest.fixture
def hub(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The mirror and the bundled backbone behind the hub's protocol."""
    root = tmp_path / "hub"
    shutil.copytree(mirror, root / "datasets")
    shutil.copytree(TINY, root / "models" / "org" / "tiny")
    with serving(root) as server:
        use(server, tmp_path / "cache", monkeypatch)
        yield server


def on_hub(folder: Path, **changes: Any) -> Run:
    run = official(folder, **changes)
    backbone = run.recipe.backbone.model_copy(update={"model": "org/tiny"})
    return Run(run.recipe.model_copy(update={"backbone": backbone}))


def test_nothing_large_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.cards["org/tiny"] = {"license": "cc-by-nc-4.0"}
    hub.cards["nvidia/HelpSteer"] = {"license": "cc-by-4.0"}
    hub.faults["api/datasets/nvidia/HelpSteer"] = [Fault(503), Fault(429, {"Retry-After": "0"})]
    hub.faults["THU-KEG/RM-Bench/total_dataset.json"] = [Fault(cut=10)]
    found = check(on_hub(tmp_path))
    assert lines(found) == []
    assert found.backbone is not None
    assert found.backbone.licence == "cc-by-nc-4.0"
    assert found.backbone.bytes_to_fetch == (TINY / "model.safetensors").stat().st_size
    assert any("exported model contains its weights" in warning.line for warning in found.warnings)
    helpsteer = found.datasets["helpsteer"]
    assert helpsteer.where == f"nvidia/HelpSteer@{hub.commit('datasets', 'nvidia/HelpSteer')}"
    assert helpsteer.bytes == helpsteer.bytes_to_fetch > 0
    assert not hub.served("org/tiny/model.safetensors")
    assert not list((tmp_path / "cache").rglob("*.jsonl*"))
    asked = {path for method, path, _ in hub.requests if method == "GET"}
    assert not any("eng_Latn" in path or "red_team" in path for path in asked)
    assert all(range_ for _, path, range_ in hub.requests if path.endswith((".parquet", ".jsonl", ".gz", ".xz")))
    # The demo's rows are fewer than the official ones, which a warning says where the files count them.
    assert any("capybara: its files have" in warning.line for warning in found.warnings)


def test_what_the_hub_refuses_is_named_with_the_rest(hub: Hub, tmp_path: Path) -> None:
    hub.always["PKU-Alignment/BeaverTails"] = GATED
    hub.always["org/tiny"] = GATED
    shutil.rmtree(hub.root / "datasets" / "dd101bb")
    (hub.root / "datasets" / "THU-KEG" / "RM-Bench" / "total_dataset.json").write_bytes(b"")
    recipe = read_recipe(OFFICIAL)
    ratings = tuple(
        one.model_copy(update={"revision": "v9"}) if one.source == "helpsteer" else one for one in recipe.ratings
    )
    found = lines(check(on_hub(tmp_path, ratings=ratings)))
    expected = (
        "backbone.model: org/tiny is gated on the hub: accept its terms on",
        "helpsteer: nvidia/HelpSteer has no revision v9 on the hub: check `revision`",
        "beavertails: PKU-Alignment/BeaverTails is gated on the hub: accept its terms on",
        "rmb: there is no data set dd101bb/RMB_dataset on the hub for this user: check `repo`",
        "rm_bench: total_dataset.json is empty: name another revision",
    )
    assert len(found) == len(expected)
    for sentence in expected:
        assert any(line.startswith(sentence) for line in found), (sentence, found)


def test_a_missing_set_is_a_warning_where_the_recipe_skips_them(hub: Hub, tmp_path: Path) -> None:
    shutil.rmtree(hub.root / "datasets" / "dd101bb")
    hub.always["PKU-Alignment/BeaverTails"] = GATED
    found = check(on_hub(tmp_path, missing_datasets="skip"))
    assert lines(found) == []
    assert any(": beavertails: PKU-Alignment/BeaverTails is gated" in warning.line for warning in found.warnings)
    assert any(": rmb: there is no data set" in warning.line for warning in found.warnings)


def test_a_run_from_the_hub_has_the_same_tables(
    hub: Hub, mirror: Path, tmp_path: Path, quiet: Callable[..., None]
) -> None:
    """Cut connections, limits and failures on the way; the tables are those of the local mirror."""
    local, remote = official(tmp_path / "local"), on_hub(tmp_path / "remote")
    hub.faults["org/tiny/model.safetensors"] = [Fault(cut=100_000), Fault(429, {"Retry-After": "0"}), Fault(cut=9)]
    hub.faults["openbmb/UltraFeedback/flan.jsonl"] = [Fault(503), Fault(cut=50)]
    extract(local, data_root=mirror, limit=1, progress=quiet)
    extract(remote, limit=1, progress=quiet)
    for table in ("examples", "pairs", "suites", "suite_texts"):
        name = f"tables/{table}.parquet"
        assert (remote.folder / name).read_bytes() == (local.folder / name).read_bytes()


def test_the_command_prints_one_line_a_problem_and_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"prompt": "Q?", "response": "A.", "polite": 3}
    (tmp_path / "good.jsonl").write_text("".join(json.dumps(good | {"polite": one % 7 + 1}) + "\n" for one in range(9)))
    (tmp_path / "bad.jsonl").write_text("<html>")
    recipe = """
        name = "small"
        backbone = { model = "TINY", dtype = "float32", max_tokens = 256 }
        debiasing = { verbosity = "response_tokens" }
        objectives = [{ name = "polite", low = 1, high = 7 }]
        ratings = [{ source = "multi_objective", path = "good.jsonl" }]
        [[pairs]]
        source = "preference"
        path = "bad.jsonl"
        [[pairs]]
        source = "preference"
        name = "gone"
        path = "no.jsonl"
    """
    (tmp_path / "small.toml").write_text(recipe.replace("TINY", str(TINY)))
    told = armorm("check", "--recipe", "small.toml", folder=tmp_path)
    assert told.returncode == 2
    assert "problem: small.toml:7: preference: bad.jsonl is a page of HTML" in told.stdout
    assert "problem: small.toml:10: gone: there is no file or folder no.jsonl: check `path`" in told.stdout
    assert "2 problems, 0 warnings" in told.stdout
    assert not (tmp_path / "runs").exists()
    assert "Traceback" not in told.stderr
    (tmp_path / "bad.jsonl").write_text(json.dumps({"prompt": "Q", "chosen": "A", "rejected": "B"}))
    (tmp_path / "no.jsonl").write_text(json.dumps({"prompt": "Q", "chosen": "A", "rejected": "B"}))
    monkeypatch.chdir(tmp_path)
    values = json.loads(to_json(check(Run(read_recipe(Path("small.toml"))))))
    assert values["problems"] == []
    polite = values["datasets"]["multi_objective"]["ratings"]["polite"]
    assert polite["counts"] == [2, 2, 1, 1, 1, 1, 1]
    assert values["estimate"]["tokens"] > 0


def test_all_sets_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    run = official(tmp_path)
    with pytest.raises(UserError) as caught:
        find(run, tmp_path / "nowhere", None, lambda *_: None)
    assert str(caught.value).count("there is no folder") == 21


def test_a_reason_is_shown_as_it_stands_and_counted_for_all_of_its_kind(tmp_path: Path) -> None:
    recipe = small_run(tmp_path, prompts=4)
    with (tmp_path / "rated.jsonl").open("a") as file:
        for text in ("high", "low"):
            file.write(json.dumps({"prompt": f"Is it {text}?", "response": "Yes.", "polite": text}) + "\n")
    (found,) = check(Run(read_recipe(recipe))).datasets.values()
    assert found.reasons == {
        "the rating 'polite' is 'high', expected a number": 2,
        "no rating of an objective of the recipe": 2,
    }
