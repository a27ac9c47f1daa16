"""Which results go stale when a setting changes: every key of the recipe, every file of the run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock
from pydantic import BaseModel

from cache import UserError
from cache.progress import silent
from heads.kinds.registry import NAMES, kind_of
from heads.settings import OtherHeadSettings
from pipelines.artefacts import (
    ABLATIONS,
    EXAMPLES,
    EXTRACT,
    GATING,
    HEADS,
    INTERVALS,
    LEADERBOARD,
    OTHER_HEADS,
    PAIRS,
    RATINGS,
    STATISTICS,
    SUITE_ROWS,
    SUITE_TEXTS,
    UNCERTAINTY,
    analysis,
    suite,
)
from pipelines.commands.ablate import ablate
from pipelines.commands.analyse import analyse
from pipelines.commands.evaluate import evaluate
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.fit_other_heads import fit_other_heads
from pipelines.commands.leaderboard import make_leaderboard
from pipelines.commands.train_gating import train_gating
from pipelines.json_file import read_object, write_object
from pipelines.recipe import Recipe, read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo, armorm

SUITE, ANALYSIS = suite("rewardbench"), analysis("rewardbench")
ARTEFACTS = (
    *(EXTRACT, EXAMPLES, PAIRS, SUITE_ROWS, SUITE_TEXTS),
    *(STATISTICS, HEADS, UNCERTAINTY, INTERVALS, OTHER_HEADS, GATING),
    *(SUITE, ANALYSIS, RATINGS, ABLATIONS, LEADERBOARD),
)

NOTHING: frozenset[str] = frozenset()
EVERYTHING = frozenset(artefact.file for artefact in ARTEFACTS)
JUDGED = frozenset(artefact.file for artefact in (SUITE, ANALYSIS, LEADERBOARD, ABLATIONS))
OF_SUITES = JUDGED | {SUITE_ROWS.file, SUITE_TEXTS.file}
OF_THE_GATE = JUDGED | {GATING.file}
OF_OTHER_HEADS = JUDGED | {OTHER_HEADS.file}
OF_PAIRS = OF_THE_GATE | OF_OTHER_HEADS | {PAIRS.file}
OF_HEADS = OF_THE_GATE | OF_OTHER_HEADS | {HEADS.file, UNCERTAINTY.file, INTERVALS.file, RATINGS.file}
OF_STATISTICS = OF_HEADS | {STATISTICS.file}
OF_RATINGS = OF_STATISTICS | {EXAMPLES.file, PAIRS.file}

CHANGES: dict[str, tuple[Any, frozenset[str]]] = {
    "name": ("other", NOTHING),
    "runs": ("elsewhere", NOTHING),
    "data_root": ("elsewhere", NOTHING),
    "note": ("other", NOTHING),
    "missing_datasets": ("skip", OF_HEADS),
    "backbone.model": ("other", EVERYTHING),
    "backbone.revision": ("abc", EVERYTHING),
    "backbone.gguf_file": ("other.gguf", EVERYTHING),
    "backbone.chat_template": ("other.jinja", EVERYTHING),
    "backbone.layers": ([-2], EVERYTHING),
    "backbone.dtype": ("bfloat16", EVERYTHING),
    "backbone.max_tokens": (1024, EVERYTHING),
    "backbone.position": ("last_token", EVERYTHING),
    "backbone.special_tokens_in_text": ("keep", EVERYTHING),
    "backbone.system_turns": ("fold", EVERYTHING),
    "store.root": ("elsewhere", NOTHING),
    "store.dtype": ("float32", EVERYTHING),
    "store.format": ("hdf5", NOTHING),
    "store.shard_rows": (7, NOTHING),
    "store.shard_seconds": (7.0, NOTHING),
    "extract.engine": ("sequential", NOTHING),
    "extract.pack_tokens": (9999, NOTHING),
    "extract.compile": ("never", NOTHING),
    "extract.device": ("cpu", NOTHING),
    "extract.ray_address": ("ray://head:10001", NOTHING),
    "extract.vllm.gpu_memory_utilization": (0.5, NOTHING),
    "extract.vllm.kv_cache_memory_bytes": (1 << 20, NOTHING),
    "extract.vllm.max_num_batched_tokens": (64, NOTHING),
    "extract.vllm.max_num_seqs": (8, NOTHING),
    "extract.vllm.tensor_parallel_size": (2, NOTHING),
    "extract.vllm.enable_prefix_caching": (False, NOTHING),
    "extract.vllm.enforce_eager": (True, NOTHING),
    "split.validation": (0.3, OF_RATINGS),
    "split.seed": (1, OF_RATINGS),
    "split.drop_overlap": (True, OF_RATINGS),
    "objectives": ([{"name": "other", "low": 0, "high": 1}], OF_RATINGS),
    "ratings": ([{"source": "helpsteer", "limit": 5}], OF_RATINGS),
    "pairs": ([{"source": "hh_rlhf", "weight_by": None}], OF_PAIRS),
    "suites": ([{"source": "reward_bench", "limit": 5}], OF_SUITES),
    "heads.from": ("elsewhere", OF_HEADS),
    "heads.directions": (3, OF_HEADS),
    "heads.alphas": ([1.0], OF_HEADS),
    "heads.choose": ("gcv", OF_HEADS),
    "heads.continuous": (True, OF_HEADS),
    "heads.dataset_weights": ({"helpsteer": 2.0}, OF_HEADS),
    "heads.objective_weights": ({"helpsteer-coherence": 2.0}, OF_HEADS),
    "heads.layer": (0, OF_HEADS),
    "heads.joint_layers": (False, OF_STATISTICS),
    "heads.uncertainty": (False, OF_HEADS),
    "heads.familiar_quantile": (0.9, OF_HEADS),
    "heads.coverage": (0.8, OF_HEADS),
    "heads.minimum_rows": (30, OF_HEADS),
    "heads.bradley_terry_C": ([1.0], OF_THE_GATE),
    "heads.bradley_terry_center_rewards_coefficient": (0.01, OF_THE_GATE),
    "other_heads.fit": ([], OF_OTHER_HEADS),
    "other_heads.layers": ([-1], OF_OTHER_HEADS),
    "other_heads.slic.C": ([1.0], OF_OTHER_HEADS),
    "other_heads.mlp.hidden_size": (4, OF_OTHER_HEADS),
    "other_heads.mlp.steps": (5, OF_OTHER_HEADS),
    "other_heads.mlp.batch_pairs": (5, OF_OTHER_HEADS),
    "other_heads.mlp.learning_rate": (0.5, OF_OTHER_HEADS),
    "other_heads.mlp.weight_decay": (0.5, OF_OTHER_HEADS),
    "other_heads.mlp.check_every": (5, OF_OTHER_HEADS),
    "other_heads.mlp.patience": (5, OF_OTHER_HEADS),
    "other_heads.mlp.seed": (5, OF_OTHER_HEADS),
    "other_heads.ordinal.alphas": ([1.0], OF_OTHER_HEADS),
    "other_heads.quantile.levels": ([0.1, 0.9], OF_OTHER_HEADS),
    "other_heads.quantile.ridge_alphas": ([1.0], OF_OTHER_HEADS),
    "other_heads.quantile.alphas": ([1.0], OF_OTHER_HEADS),
    "other_heads.quantile.bandwidth": (0.1, OF_OTHER_HEADS),
    "other_heads.quantile.directions": (7, OF_OTHER_HEADS),
    "other_heads.gaussian.ridge_alphas": ([1.0], OF_OTHER_HEADS),
    "other_heads.gaussian.alphas": ([1.0], OF_OTHER_HEADS),
    "other_heads.gaussian.directions": (7, OF_OTHER_HEADS),
    "debiasing.verbosity": ("response_tokens", OF_THE_GATE),
    "debiasing.correlation": ("pearson", OF_THE_GATE),
    "debiasing.method": ("published_grid", OF_THE_GATE),
    "debiasing.grid_threshold": (0.1, OF_THE_GATE),
    "debiasing.reference": (["helpsteer"], OF_THE_GATE),
    "gate.hidden_size": (8, OF_THE_GATE),
    "gate.hidden_layers": (1, OF_THE_GATE),
    "gate.temperature": (1.0, OF_THE_GATE),
    "gate.standardise": (False, OF_THE_GATE),
    "gate.loss": ("bradley_terry_ties", OF_THE_GATE),
    "gate.ties": ({"hh_rlhf": 1.0}, OF_THE_GATE),
    "gate.margin": ({"hh_rlhf": 1.0}, OF_THE_GATE),
    "gate.label_smoothing": (0.1, OF_THE_GATE),
    "gate.pair_weights": ({"hh_rlhf": 2.0}, OF_THE_GATE),
    "gate.center_rewards_coefficient": (0.01, OF_THE_GATE),
    "gate.steps": (3, OF_THE_GATE),
    "gate.batch_pairs": (3, OF_THE_GATE),
    "gate.learning_rate": (0.5, OF_THE_GATE),
    "gate.scale_start": ("published", OF_THE_GATE),
    "gate.scale_learning_rate": (0.5, OF_THE_GATE),
    "gate.weight_decay": (0.5, OF_THE_GATE),
    "gate.dropout": (0.5, OF_THE_GATE),
    "gate.check_every": (3, OF_THE_GATE),
    "gate.patience": (3, OF_THE_GATE),
    "gate.precision": ("float32", OF_THE_GATE),
    "gate.seed": (7, OF_THE_GATE),
    "gate.seeds": (2, OF_THE_GATE),
}
"""Key of the recipe -> another value, and the files that are out of date with it."""


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Keys of a recipe; a list of tables is one key."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if model is OtherHeadSettings and name in NAMES:
            yield from keys(kind_of(name).settings, f"{key}.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{key}.")
        else:
            yield key


def changed(run: Run, key: str, value: Any) -> Run:
    """The run under a recipe with another value of a key, which need not fit the rest."""
    *tables, name = key.split(".")
    table = run.settings
    for part in tables:
        if table[part] is None:  # the settings of a kind of head that the recipe does not name
            table[part] = {name: None}
        table = table[part]
    assert table[name] != value, "this is the value already"
    table[name] = value
    if key in ("backbone.model", "backbone.revision"):  # the backbone itself is looked at where its name differs
        backbone = run.recipe.backbone.model_copy(update={name: value})
        run.recipe = run.recipe.model_copy(update={"backbone": backbone})
    return run


@pytest.fixture(scope="session")
def whole(demo: Demo) -> Path:
    """A copy of the demo in which every command has run, made by the first worker that needs it."""
    folder = demo.folder.parent / "stale" / "demo"
    with FileLock(demo.folder.parent / "stale.lock"):
        if not (folder / "done").exists():
            shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("data"))
            recipe = folder / "demo.toml"
            recipe.write_text(recipe.read_text() + '\n[other_heads]\nfit = ["slic"]\nslic = { C = [0.01] }\n')
            run = run_in(folder)
            fit_other_heads(run, silent)
            evaluate(run, ["rewardbench"])
            analyse(run, "gate", silent)
            make_leaderboard(run)
            ablate(run, silent)
            (folder / "done").touch()
    return folder


def run_in(folder: Path) -> Run:
    """The run of `demo.toml` in a folder that need not be the current one."""
    recipe = read_recipe(folder / "demo.toml")
    store = recipe.store.model_copy(update={"root": folder / "features"})
    return Run(recipe.model_copy(update={"runs": folder / "runs", "store": store}))


def test_every_key_of_the_recipe_is_in_the_table() -> None:
    assert sorted(keys(Recipe)) == sorted(CHANGES)


def test_nothing_is_stale_after_every_command_has_run(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole)
    run = Run(read_recipe(Path("demo.toml")))
    assert {artefact.file: run.problem(artefact) for artefact in ARTEFACTS} == dict.fromkeys(EVERYTHING)


@pytest.mark.parametrize("key", [key for key in CHANGES if key not in ("name", "runs")])
def test_a_changed_setting_makes_exactly_these_results_stale(
    whole: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.chdir(whole)
    value, stale = CHANGES[key]
    run = changed(Run(read_recipe(Path("demo.toml"))), key, value)
    found = {artefact.file: run.problem(artefact) for artefact in ARTEFACTS}
    assert {file for file, problem in found.items() if problem is not None} == stale
    for problem in filter(None, found.values()):
        assert "run `armorm " in problem


def test_weights_by_margin_need_no_other_pairs(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole)
    run = Run(read_recipe(Path("demo.toml")))
    run.settings["pairs"][0]["weight_by"] = "margin"
    found = {artefact.file: run.problem(artefact) for artefact in ARTEFACTS}
    assert {file for file, problem in found.items() if problem is not None} == OF_THE_GATE | OF_OTHER_HEADS
    assert "gating.json is out of date (pairs.weight_by changed): run `armorm train-gating`" in str(found[GATING.file])


def test_rows_depend_on_the_suites_where_overlap_is_left_out(whole: Path) -> None:
    run = run_in(whole)
    assert "suites" not in run.stamp(EXAMPLES)
    changed(run, "split.drop_overlap", True)
    before = run.stamp(EXAMPLES), run.stamp(PAIRS)
    changed(run, "suites", [])
    assert [stamp["suites"] for stamp in before] != [run.stamp(table)["suites"] for table in (EXAMPLES, PAIRS)]


def test_a_run_that_was_moved_or_renamed_is_current(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "runs" / "demo", tmp_path / "moved" / "renamed")
    recipe = read_recipe(whole / "demo.toml").model_copy(
        update={"runs": tmp_path / "moved", "name": "renamed", "note": "another"}
    )
    run = Run(recipe)
    assert {artefact.file: run.problem(artefact) for artefact in ARTEFACTS} == dict.fromkeys(EVERYTHING)


def run_all(folder: Path, *commands: str) -> None:
    for command in commands:
        done = armorm(*command.split(), "--recipe", "demo.toml", folder=folder)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / "demo.toml"
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_scores_of_an_earlier_gate_are_not_analysed(copy: Path) -> None:
    edit(copy, "steps = 1500", "steps = 1500\nseed = 3")
    run_all(copy, "train-gating")
    analysis_file = copy / "runs" / "demo" / "rewardbench.analysis.json"
    before = analysis_file.read_bytes()
    done = armorm("analyse", "--recipe", "demo.toml", folder=copy)
    assert done.returncode == 2
    assert "rewardbench.json is out of date (gating.json changed): run `armorm eval --suite rewardbench`" in done.stderr
    assert analysis_file.read_bytes() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [('note = "', 'note = "Another note. '), ("pack_tokens = 4096", 'pack_tokens = 2048\ndevice = "cpu"')],
)
def test_an_unrelated_key_leaves_the_suite_on_the_leaderboard_and_in_the_report(
    copy: Path, before: str, after: str
) -> None:
    edit(copy, before, after)
    run_all(copy, "leaderboard")
    done = armorm("report", "--no-plots", "--recipe", "demo.toml", "--json", folder=copy)
    assert done.returncode == 0, done.stderr
    assert not any("rewardbench" in file for file in json.loads(done.stdout)["missing"])
    assert "RewardBench" in (copy / "runs" / "demo" / "report.html").read_text()


def test_a_damaged_analysis_names_the_command_that_writes_it(copy: Path) -> None:
    (copy / "runs" / "demo" / "rewardbench.analysis.json").write_text("{")
    done = armorm("report", "--no-plots", "--recipe", "demo.toml", "--json", folder=copy)
    assert done.returncode == 0, done.stderr
    (sentence,) = [why for file, why in json.loads(done.stdout)["missing"].items() if "analysis" in file]
    assert "is damaged" in sentence
    assert "run `armorm analyse` again" in sentence


def test_other_scores_of_a_scorer_make_the_suite_stale(copy: Path) -> None:
    scorers = copy / "runs" / "demo" / "scorers" / "rewardbench"
    scorers.mkdir(parents=True)
    (scorers / "other.parquet").write_bytes(b"other scores")
    run = run_in(copy)
    problem = run.problem(SUITE)
    assert problem is not None
    assert "scorers/rewardbench/other.parquet changed" in problem


def test_weights_that_are_not_the_described_ones_are_named(copy: Path) -> None:
    (copy / "runs" / "demo" / "heads.safetensors").write_bytes(b"not safetensors")
    done = armorm("eval", "--recipe", "demo.toml", folder=copy)
    assert done.returncode == 2
    assert "heads.safetensors is damaged, or not the one" in done.stderr
    assert "run `armorm fit-heads` again" in done.stderr


def test_a_run_of_an_earlier_version_names_the_command_and_keeps_its_features(demo: Demo, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(demo.folder, tmp_path / "copy"))
    for path in (copy / "runs" / "demo").glob("*.json"):
        values = json.loads(path.read_text())
        for key in ("stamp", "table_stamps", "data", "checksum"):
            values.pop(key, None)
        path.write_text(json.dumps(values | {"inputs": "0" * 64, "recipe": "0" * 16, "quarantined": 3}))
    sentence = "extract.json was written by an earlier version: run `armorm extract` again; stored features"
    for command in (lambda: fit_heads(run_in(copy), silent), lambda: make_leaderboard(run_in(copy))):
        with pytest.raises(UserError, match=sentence):
            command()
    done = armorm("extract", "--recipe", "demo.toml", "--json", folder=copy)
    assert json.loads(done.stdout)["features_new"] == 0
    with pytest.raises(UserError, match=r"heads.json was written by an earlier version: run `armorm fit-heads` again"):
        train_gating(run_in(copy), silent)
    fit_heads(run_in(copy), silent)


def test_tables_without_the_marks_of_style_are_out_of_date_and_read_again_without_a_pass(
    demo: Demo, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(demo.folder, tmp_path / "copy"))
    tables, extract = copy / "runs" / "demo" / "tables", copy / "runs" / "demo" / "extract.json"
    values = read_object(extract)
    for table in (EXAMPLES, PAIRS, SUITE_ROWS):
        path = copy / "runs" / "demo" / table.file
        pl.read_parquet(path).select(pl.exclude("^.*(markdown|lists|code_fences)$")).write_parquet(path)
        del values["table_stamps"][table.file]["its columns"]
    write_object(extract, {key: value for key, value in values.items() if key != "checksum"})
    with pytest.raises(
        UserError, match=r"examples.parquet is out of date \(its columns changed\): run `armorm extract` again"
    ):
        train_gating(run_in(copy), silent)
    done = armorm("extract", "--recipe", "demo.toml", "--json", folder=copy)
    told = json.loads(done.stdout)
    assert (told["tokens_computed"], told["features_new"]) == (0, 0)
    for path in tables.glob("*.parquet"):
        assert path.read_bytes() == (demo.run / "tables" / path.name).read_bytes()
    assert run_in(copy).problem(GATING) is None  # the same tables: nothing else has changed


def test_a_result_is_stamped_with_what_it_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    recipe = read_recipe(Path("demo.toml"))
    run, other = Run(recipe), Run(recipe)
    gating, gate, heads = run.read(GATING), run.arrays(GATING), other.read(HEADS)
    other.write(HEADS, heads, arrays={"weight": 2 * other.arrays(HEADS)["weight"]})  # while the gate is trained
    run.write(GATING, gating, arrays=gate)
    assert "gating.json is out of date (heads.json changed)" in str(Run(recipe).problem(GATING))
