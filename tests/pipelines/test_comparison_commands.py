"""Other scorers on a run's suite, the rules beside them, the leaderboard, and agreement with held-out ratings."""

import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cache import UserError
from cache.progress import silent
from evaluation.results import Scorer
from pipelines.artefacts import analysis, suite
from pipelines.commands.analyse import analyse
from pipelines.commands.evaluate import evaluate
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.leaderboard import make_leaderboard
from pipelines.commands.score_suite import score_suite
from pipelines.recipe import read_recipe
from pipelines.results import plain
from pipelines.run import Run
from tests.evaluation.judged import judge
from tests.evaluation.scorers.endpoint_server import Reply, Server, always, endpoint
from tests.evaluation.scorers.tiny_reward_model import write_reward_model
from tests.pipelines.conftest import Demo, armorm


@pytest.fixture
def copy(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    """The demo's folder, to write into and to be in."""
    shutil.copytree(demo.folder, tmp_path / "demo")
    monkeypatch.chdir(tmp_path / "demo")
    return Demo(tmp_path / "demo", demo.results)


def run() -> Run:
    """The run in the current folder."""
    return Run(read_recipe(Path("demo.toml")))


def scored_by(scorer: str, suite: str = "rewardbench") -> Scorer:
    """Run score-suite."""
    return score_suite(run(), suite, scorer, batch_tokens=4096, progress=silent)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Makes a server the endpoint of judges."""

    def use(server: Server) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)

    return use


def test_rules_are_compared_on_the_rows_that_eval_judged(copy: Demo) -> None:
    analyse(run(), "gate", silent)
    analysis = json.loads((copy.run / "rewardbench.analysis.json").read_text())
    result = copy.results["eval"]
    assert analysis["rows"] == result["rows"]
    assert set(analysis["rules"]) == set(result["rules"])
    for name, rule in analysis["rules"].items():
        # Every row of this suite is one pair: its mean outcome is the share of rows judged right.
        subsets = result["rules"][name]["subsets"].values()
        right = sum(subset["accuracy"] * subset["rows"] for subset in subsets) / result["rows"]
        assert rule["pairs_right"]["accuracy"] == pytest.approx(right)
        assert (rule["comparison"] is None) == (name == "gate")
    length = analysis["rules"]["length"]["length"]
    assert length["prefers_longer"]["accuracy"] + length["slices"]["chosen_longer"]["right"]["accuracy"] in (0.0, 2.0)
    assert analysis["rules"]["bradley_terry"]["calibration"]["fitted"]["temperature"] > 0
    assert analysis["best_of_n"] == []


def test_an_analysis_says_when_to_abstain_and_fitting_the_errors_anew_makes_it_stale(copy: Demo) -> None:
    found = analyse(run(), "gate", silent).suites["rewardbench"].rules
    for rule in ("gate", "uniform", "routed", "strongest"):
        own = found[rule].decisions
        assert own.error.value == pytest.approx(1.0 - found[rule].pairs_right.accuracy)
        assert own.by_probability.area.value >= 0.0
        assert own.by_probability.risk[-1] == own.by_gap.risk[-1] == pytest.approx(own.error.value)
        assert own.gain.low <= own.gain.value <= own.gain.high
    for rule in ("bradley_terry", "length"):
        assert found[rule].decisions.by_probability is None
    shown = armorm("analyse", "--recipe", "demo.toml", folder=copy.folder)
    assert shown.returncode == 0, shown.stderr
    assert "demo: rewardbench, when to abstain" in shown.stdout
    recipe = copy.folder / "demo.toml"
    recipe.write_text(recipe.read_text() + "\n[heads]\nuncertainty = false\n")
    fit_heads(run(), progress=silent)
    assert "uncertainty.safetensors changed" in str(run().problem(suite("rewardbench")))
    evaluate(run(), ["rewardbench"])
    without = analyse(run(), "gate", silent).suites["rewardbench"].rules
    assert without["gate"].decisions.by_gap == found["gate"].decisions.by_gap
    assert without["gate"].decisions.gain is None


def test_ratings_are_compared_with_heads_that_did_not_see_them(copy: Demo) -> None:
    result = analyse(run(), "uniform", silent)
    heads = json.loads((copy.run / "heads.json").read_text())["objectives"]
    for name, datasets in result.ratings.objectives.items():
        assert sum(found.rows for found in datasets.values()) == heads[name]["validation_rows"]
        mse = sum(found.rows * found.mse.value for found in datasets.values())
        assert mse / heads[name]["validation_rows"] == pytest.approx(heads[name]["validation_mse"], rel=1e-3)
        for found in datasets.values():
            assert np.isnan(found.mse.low) == (found.prompts < 10)
    safe = result.ratings.objectives["beavertails-is_safe"]["beavertails"]
    assert 0.5 < safe.auc.value <= 1.0
    written = json.loads((copy.run / "ratings.json").read_text())
    assert plain(result.ratings).items() <= written.items()
    assert result.suites["rewardbench"].reference == "uniform"
    assert result.suites["rewardbench"].rules["uniform"].comparison is None


def test_an_analysis_lasts_as_long_as_its_scores(copy: Demo) -> None:
    analyse(run(), "gate", silent)
    evaluate(run(), ["rewardbench"])
    assert run().problem(analysis("rewardbench")) is None
    write_reward_model(copy.folder / "models" / "random-rm")
    scored_by("hf:models/random-rm")
    assert "scorers/rewardbench/random-rm.parquet changed" in str(run().problem(suite("rewardbench")))
    evaluate(run(), ["rewardbench"])
    assert "rewardbench.json changed" in str(run().problem(analysis("rewardbench")))


def test_an_unknown_reference_is_named(copy: Demo) -> None:
    with pytest.raises(UserError, match=r"^--reference: gat is no rule here: name one of gate, "):
        analyse(run(), "gat", silent)


def test_a_reward_model_is_judged_beside_the_rules(copy: Demo) -> None:
    write_reward_model(copy.folder / "models" / "random-rm")
    first = scored_by("hf:models/random-rm")
    assert (first.name, first.skipped) == ("random-rm", 0)
    assert first.rows == copy.results["eval"]["rows"]
    assert 0 < first.new <= 2 * first.rows
    assert scored_by("hf:models/random-rm").new == 0  # a second run computes nothing
    result = evaluate(run(), ["rewardbench"])["rewardbench"]
    assert result.rules["random-rm"].skipped == 0
    scored = pl.read_parquet(copy.run / "scores" / "rewardbench.parquet")
    right = judge(scored, scored["score.random-rm"].to_numpy()).by_subset()
    for subset, outcomes in right.items():
        assert result.rules["random-rm"].subsets[subset].accuracy == pytest.approx(outcomes.mean())
    entries = make_leaderboard(run()).suites["rewardbench"].entries
    (entry,) = [entry for entry in entries if entry.kind == "scorer"]
    assert (entry.model, entry.method) == ("random-rm", "reward model")
    assert sum(entry.kind == "published" for entry in entries) == 6
    ranked = [entry.score for entry in entries if entry.rank]
    assert ranked == sorted(ranked, reverse=True)
    assert len(ranked) == len(entries) - 6
    page = (copy.run / "leaderboard.md").read_text()
    assert "| random-rm | reward model |" in page
    assert "published: ArmoRM-Llama3-8B-v0.1" in page


def _prefers_the_right(texts: pl.DataFrame, question: str) -> str:
    """The verdict of a judge that knows the chosen responses."""
    answer_a = question.partition("<answer_a>\n")[2].partition("\n</answer_a>")[0]
    return "[[A]]" if answer_a in set(texts.filter(pl.col("chosen"))["response"]) else "[[B]]"


def test_a_judge_is_asked_once_and_in_both_orders(copy: Demo, key: Callable[[Server], None]) -> None:
    texts = pl.read_parquet(copy.run / "tables" / "suite_texts.parquet")
    unparseable = texts.filter(pl.col("chosen"))["response"][0]

    def reply(question: str, _attempt: int) -> Reply:
        if f"<answer_a>\n{unparseable}\n</answer_a>" in question:
            return Reply("I would rather not say.")
        return Reply(_prefers_the_right(texts, question))

    with endpoint(reply) as server:
        key(server)
        first = scored_by("judge:m")
        asked = len(server.requests)
        assert scored_by("judge:m").new == 0
        assert len(server.requests) == asked  # nothing is asked twice
    rows = copy.results["eval"]["rows"]
    assert first.questions == asked == len({str(request["messages"]) for request in server.requests})
    assert first.pairs == rows
    assert first.unparseable >= 1
    assert first.skipped >= 1
    assert first.reasons == {"an answer holds no verdict": first.skipped}
    judged = evaluate(run(), ["rewardbench"])["rewardbench"].rules["m"]
    assert judged.skipped == first.skipped
    assert sum(subset.rows for subset in judged.subsets.values()) == rows - first.skipped
    # A text that is chosen in one row may be rejected in another, so the judge is not always right.
    assert judged.score > 0.9
    analysed = analyse(run(), "gate", silent).suites["rewardbench"]
    assert analysed.rules["m"].rows == rows - first.skipped
    assert analysed.rules["m"].comparison.rows == rows - first.skipped


def test_a_judge_that_stops_answering_keeps_what_it_said(copy: Demo, key: Callable[[Server], None]) -> None:
    number = itertools.count()
    with endpoint(lambda _question, _attempt: Reply() if next(number) < 20 else Reply(status=400)) as server:
        key(server)
        with pytest.raises(UserError, match="questions in a row without an answer"):
            scored_by("judge:m")
    with endpoint(always(Reply("[[A]]"))) as other:
        # Answers belong to the endpoint they came from; this one is asked everything, and likes what stands first.
        key(other)
        result = scored_by("judge:m")
    assert result.inconsistent == result.pairs
    assert result.skipped == 0
    assert evaluate(run(), ["rewardbench"])["rewardbench"].rules["m"].score == 0.0  # ties are wrong
    with closing(sqlite3.connect(copy.run / "scorers" / "m.sqlite")) as answers:
        (kept,) = answers.execute("SELECT count(*) FROM answers").fetchone()
    assert kept == 20 + result.questions


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        ("gpt", r"--scorer gpt: write hf:FOLDER or hf:ORG/NAME"),
        ("hf:", r"write hf:FOLDER"),
        ("hf:nowhere", r"^--scorer hf: nowhere is neither a folder with a config.json nor org/name on the hub"),
        ("judge:gate", r"a rule is called 'gate' too"),
        ("judge:m", r"set OPENAI_API_KEY"),
    ],
)
def test_a_scorer_that_cannot_be_used_is_named(
    copy: Demo, scorer: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match=sentence):
        scored_by(scorer)


def test_a_name_stands_for_one_scorer(copy: Demo) -> None:
    write_reward_model(copy.folder / "models" / "namesake")
    write_reward_model(copy.folder / "elsewhere" / "namesake", seed=1)
    scored_by("hf:models/namesake")
    scored_by("hf:./models/../models/namesake")
    with pytest.raises(UserError, match=r"--scorer: 'namesake' stands for hf:.*models/namesake in "):
        scored_by("hf:elsewhere/namesake")


def test_a_damaged_file_of_answers_is_set_aside(copy: Demo, caplog: pytest.LogCaptureFixture) -> None:
    write_reward_model(copy.folder / "models" / "other")
    path = copy.run / "scorers" / "other.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be looked at" * 10)
    assert scored_by("hf:models/other").new > 0
    assert "other.sqlite is damaged (file is not a database): 0 answers were read from it" in caplog.text
    assert (path.parent / "other.sqlite.damaged").exists()


def test_a_suite_without_rows_and_a_run_without_results_are_named(copy: Demo) -> None:
    with pytest.raises(UserError, match="the run has no row of rmb"):
        scored_by("hf:models/other", "rmb")
    (copy.run / "rewardbench.json").unlink()
    with pytest.raises(UserError, match="run `armorm eval` first"):
        make_leaderboard(run())
