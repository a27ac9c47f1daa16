"""Recipes without ratings from extraction to the exported folder, wherever their objectives come from."""

from pathlib import Path

import numpy as np
import pytest

from cache import UserError
from cache.progress import silent
from export.reward_model import RewardModel
from extract.records import Message
from pipelines.artefacts import GATING, HEADS, PAIRS, RATINGS, STATISTICS, UNCERTAINTY
from pipelines.commands.ablate import ablate
from pipelines.commands.analyse import analyse
from pipelines.commands.analyse import show as show_analysis
from pipelines.commands.evaluate import evaluate
from pipelines.commands.export import export
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.fit_heads import show as show_heads
from pipelines.commands.fit_other_heads import fit_other_heads
from pipelines.commands.report import report
from pipelines.commands.train_gating import show as show_gating
from pipelines.commands.train_gating import train_gating
from pipelines.fitted import reward_model
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import armorm
from tests.pipelines.pairs_run import extracted, rated_run, unrated_run, write_rows

CONVERSATION = [Message("user", "Question: quick brown?"), Message("assistant", "The wise owls count.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows, and with the run "rated", whose heads are fitted."""
    folder = tmp_path_factory.mktemp("pairs")
    write_rows(folder)
    fit_heads(extracted(rated_run(folder)), silent)
    return folder


def fitted(run: Run) -> Run:
    """The run with its heads and its gate."""
    fit_heads(extracted(run), silent)
    train_gating(run, silent)
    return run


@pytest.mark.parametrize(
    ("name", "heads", "objectives"),
    [
        ("preference", "", ("preference",)),
        ("directions", "directions = 3", ("direction-1", "direction-2", "direction-3")),
        ("taken", 'from = "RATED"', ("polite", "long")),
    ],
)
def test_every_command_works_without_ratings(
    folder: Path, name: str, heads: str, objectives: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run = unrated_run(folder, name, heads.replace("RATED", str(folder / "runs" / "rated")))
    extracted(run)
    result = fit_heads(run, silent)
    show_heads(result, run)
    gating = train_gating(run, silent)
    show_gating(gating, run)
    suite = evaluate(run)["own"]
    show_analysis(analyse(run, "gate", silent), run)
    page = report(run, plots=False)
    out = capsys.readouterr().out
    assert tuple(result.objectives) == tuple(gating.lambdas["response_tokens"]) == objectives
    assert suite.rows == 6
    assert {"gate", "bradley_terry"} <= set(suite.rules)
    for objective in objectives:
        assert objective in out
        assert objective in Path(page.page).read_text()
    assert set(page.missing) == {"ratings", "ablations"}
    for head in result.objectives.values():
        assert head.pairs is not None
        assert head.pairs.validation_pairs == gating.validation_pairs
    assert (result.train_pairs == gating.train_pairs) == (name != "taken")
    scored = reward_model(run).score([CONVERSATION])[0]
    assert len(scored.rewards) == len(objectives)


def test_the_exported_folder_scores_alone_and_says_what_its_objective_is(folder: Path, tmp_path: Path) -> None:
    run = fitted(unrated_run(folder, "to_export"))
    result = export(run, tmp_path / "model", weights="link", check=False)
    assert result.objectives == ("preference",)
    here, there = (
        model.score([CONVERSATION])[0].score for model in (reward_model(run), RewardModel.load(tmp_path / "model"))
    )
    assert there == pytest.approx(here, rel=1e-5)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "The one objective is a Bradley-Terry head" in card
    assert "A reward is the predicted rating" not in card


def test_the_preference_objective_is_the_plain_head(folder: Path) -> None:
    run = fitted(unrated_run(folder, "plain", verbosity="none"))
    np.testing.assert_array_equal(
        run.arrays(HEADS)["weight"][0], run.arrays(GATING)["bradley_terry.weight"].astype(np.float32)
    )
    gating = run.read(GATING)
    assert gating.rules["gate"].accuracy == gating.rules["bradley_terry"].accuracy
    assert gating.gate.spread == 0
    head = run.read(HEADS).objectives["preference"]
    assert head.pairs is not None
    assert gating.bradley_terry_C == head.pairs.C
    assert (head.alpha, head.rows, head.pearson) == (None, None, None)


def test_direction_figures_are_those_of_the_training_pairs(folder: Path) -> None:
    run = extracted(unrated_run(folder, "figures", "directions = 2"))
    result = fit_heads(run, silent)
    pairs = run.table(PAIRS)
    chosen, rejected = (
        run.store.gather(np.array([list(key) for key in pairs[column]], dtype=np.uint8)).reshape(len(pairs), -1)
        for column in ("chosen_key", "rejected_key")
    )
    difference = (chosen - rejected).astype(np.float64)
    train = (pairs["split"] == "train").to_numpy()
    singular = np.linalg.svd(difference[train], compute_uv=False)
    gaps = difference[~train] @ run.arrays(HEADS)["weight"].T
    for number, head in enumerate(result.objectives.values()):
        assert head.pairs is not None
        assert head.pairs.explained_variance == pytest.approx(singular[number] ** 2 / train.sum(), rel=1e-5)
        share = singular[number] ** 2 / np.square(singular).sum()
        assert head.pairs.explained_variance_ratio == pytest.approx(share, rel=1e-5)
        assert head.pairs.validation_accuracy == (gaps[:, number] > 0).mean()


def test_the_same_recipe_gives_the_same_heads_to_the_bit(folder: Path) -> None:
    weights = []
    for name in ("once", "again"):
        run = extracted(unrated_run(folder, name, "directions = 4"))
        fit_heads(run, silent)
        weights.append(run.arrays(HEADS)["weight"].tobytes())
    assert weights[0] == weights[1]


def test_what_is_about_ratings_is_named_and_left_out(folder: Path) -> None:
    run = fitted(unrated_run(folder, "nothing_rated"))
    sentence = r"statistics.json, which is about ratings: add \[\[ratings\]\] to the recipe to have it"
    with pytest.raises(UserError, match=sentence):
        ablate(run, silent)
    assert not any(run.path(artefact).exists() for artefact in (STATISTICS, RATINGS, UNCERTAINTY))
    done = armorm("ablate", "--recipe", "nothing_rated.toml", folder=folder)
    assert done.returncode == 2
    assert "which is about ratings" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_other_pairwise_heads_are_compared_without_ratings(folder: Path) -> None:
    run = extracted(unrated_run(folder, "others", 'directions = 2 }\nother_heads = { fit = ["slic"]'))
    fit_heads(run, silent)
    result = fit_other_heads(run, silent)
    assert set(result.pairwise) == {"slic"}
    assert result.objectives == {}


def test_more_directions_than_there_are_pairs_are_refused(folder: Path) -> None:
    run = extracted(unrated_run(folder, "too_many", "directions = 200"))
    with pytest.raises(UserError, match=r"heads.directions is 200, and the \d+ decided training pairs differ in \d+"):
        fit_heads(run, silent)


def test_a_pair_set_that_is_not_found_is_an_error_without_ratings(folder: Path) -> None:
    run = unrated_run(folder, "lost")
    text = (folder / "lost.toml").read_text().replace("pairs.jsonl", "nowhere.jsonl")
    (folder / "lost.toml").write_text('missing_datasets = "skip"\n' + text)
    run = Run(read_recipe(folder / "lost.toml"))
    with pytest.raises(UserError, match="none of the recipe's pair sets was found"):
        extracted(run)


@pytest.mark.parametrize(
    ("before", "after", "stale"),
    [
        ('verbosity = "response_tokens"', 'verbosity = "none"', False),
        ("gate = { ", "gate = { label_smoothing = 0.1, ", False),
        ("directions = 3", "directions = 2", True),
        ("gate = { ", "gate = { pair_weights = { preference = 2.0 }, ", True),
        ("gate = { ", "gate = { ties = { preference = 0.5 }, ", True),
        ("directions = 3", "directions = 3, bradley_terry_C = [1.0]", True),
        ("validation = 0.3", "validation = 0.4", True),
        ('source = "preference",', 'source = "preference", limit = 20,', True),
    ],
)
def test_heads_made_of_pairs_are_stale_when_the_pairs_change(
    folder: Path, before: str, after: str, stale: bool
) -> None:
    name = "stale"
    if not (folder / "runs" / name / "heads.json").exists():
        fitted(unrated_run(folder, name, "directions = 3"))
    run = unrated_run(folder, name, "directions = 3")
    text = (folder / f"{name}.toml").read_text()
    assert text.count(before) == 1
    (folder / f"{name}.toml").write_text(text.replace(before, after))
    run = Run(read_recipe(folder / f"{name}.toml"))
    assert (run.problem(HEADS) is not None) == stale
    assert run.problem(GATING) is not None
