"""The demo corpus: the same bytes from the same seed, official schemas, and the facts that were planted."""

import gzip
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import demo_corpus
from cache.errors import UserError
from demo_corpus.suites import REWARDBENCH

SCALE = 0.2
SUITES = {"allenai/reward-bench", "allenai/preference-test-sets"}
MESSAGES = "list<element: struct<content: string, role: string>>"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "corpus"
    demo_corpus.write(out, scale=SCALE)
    return out


@pytest.fixture(scope="module")
def manifest(corpus: Path) -> dict[str, Any]:
    return json.loads((corpus / "manifest.json").read_text())


@pytest.fixture(scope="module")
def planted(corpus: Path) -> list[dict[str, Any]]:
    return pq.read_table(corpus / "planted.parquet").to_pylist()


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix in (".gz", ".xz"):
        opened = gzip.open if path.suffix == ".gz" else lzma.open
        return [json.loads(line) for line in opened(path, "rt", encoding="utf-8")]
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(corpus: Path, tmp_path: Path) -> None:
    demo_corpus.write(tmp_path / "again", scale=SCALE)
    assert digests(tmp_path / "again") == digests(corpus)
    demo_corpus.write(tmp_path / "other", scale=SCALE, seed=1)
    assert digests(tmp_path / "other")["planted.parquet"] != digests(corpus)["planted.parquet"]


def test_the_manifest_counts_the_rows_of_every_file(corpus: Path, manifest: dict[str, Any]) -> None:
    beside = {"manifest.json", "settings.json", "README.md"}
    assert set(manifest["files"]) == set(digests(corpus)) - beside
    for name, rows in manifest["files"].items():
        assert len(read(corpus / name)) == rows > 0, name


JSON_SCHEMAS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "nvidia/HelpSteer/train.jsonl.gz": {
        "prompt": str,
        "response": str,
        "helpfulness": int,
        "correctness": int,
        "coherence": int,
        "complexity": int,
        "verbosity": int,
    },
    "openbmb/UltraFeedback/evol_instruct.jsonl": {
        "source": str,
        "instruction": str,
        "models": list,
        "completions": list,
        "correct_answers": list,
        "incorrect_answers": list,
    },
    "PKU-Alignment/BeaverTails/round0/330k/train.jsonl.xz": {
        "prompt": str,
        "response": str,
        "category": dict,
        "is_safe": bool,
    },
    "prometheus-eval/Feedback-Collection/new_feedback_collection.json": {
        "instruction": str,
        "output": str,
        "orig_instruction": str,
        "orig_response": str,
        "orig_reference_answer": str,
        "orig_criteria": str,
        "orig_feedback": str,
        "orig_score": str,
    },
    "Anthropic/hh-rlhf/harmless-base/train.jsonl.gz": {"chosen": str, "rejected": str},
    "Anthropic/hh-rlhf/helpful-base/train.jsonl.gz": {"chosen": str, "rejected": str},
    "PKU-Alignment/PKU-SafeRLHF-30K/round0/train.jsonl.xz": {
        "prompt": str,
        "response_0": str,
        "response_1": str,
        "is_response_0_safe": bool,
        "is_response_1_safe": bool,
        "better_response_id": int,
        "safer_response_id": int,
    },
    "stanfordnlp/SHP/askculinary/train.json": {
        "post_id": str,
        "domain": str,
        "upvote_ratio": float,
        "history": str,
        "c_root_id_A": str,
        "c_root_id_B": str,
        "created_at_utc_A": int,
        "created_at_utc_B": int,
        "score_A": int,
        "score_B": int,
        "human_ref_A": str,
        "human_ref_B": str,
        "labels": int,
        "seconds_difference": float,
        "score_ratio": float,
    },
    "tasksource/PRM800K/phase2_train.jsonl": {
        "labeler": str,
        "timestamp": str,
        "generation": int,
        "is_quality_control_question": bool,
        "is_initial_screening_question": bool,
        "question": dict,
        "label": dict,
    },
}
PAIR = {"chosen": MESSAGES, "rejected": MESSAGES}
PARQUET_SCHEMAS: dict[str, dict[str, str]] = {
    "argilla/distilabel-capybara-dpo-7k-binarized/data/train-00000-of-00001.parquet": PAIR
    | {"rating_chosen": "int64", "rating_rejected": "int64"},
    "argilla/distilabel-math-preference-dpo/data/train-00000-of-00001-f59ecdcaca8c1de3.parquet": {
        "instruction": "string",
        "chosen_response": "string",
        "chosen_rating": "double",
        "rejected_response": "string",
        "rejected_rating": "double",
    },
    "coseal/CodeUltraFeedback/data/train-00000-of-00001.parquet": {
        "instruction": "string",
        "preference": "string",
        "responses": "list<element: struct<model: string, response: string>>",
        "annotations": "list<element: struct<model: string, rating: string, rationale: string>>",
    },
    "argilla/distilabel-intel-orca-dpo-pairs/data/train-00000-of-00001.parquet": {
        "system": "string",
        "input": "string",
        "chosen": "string",
        "rejected": "string",
        "rating": "list<element: double>",
        "chosen_score": "double",
        "status": "string",
    },
    "HuggingFaceH4/ultrafeedback_binarized/data/train_prefs-00000-of-00001.parquet": PAIR
    | {"prompt": "string", "score_chosen": "double", "score_rejected": "double"},
    "prometheus-eval/Preference-Collection/data/train-00000-of-00001.parquet": {
        "orig_instruction": "string",
        "orig_response_A": "string",
        "orig_response_B": "string",
        "orig_preference": "string",
    },
    "RLHFlow/pair_data_v2_80K_wsafety/data/train-00000-of-00001.parquet": PAIR,
    "RLHFlow/ArmoRM-Multi-Objective-Data-v0.1/data/train-00000-of-00001.parquet": {
        "messages": MESSAGES,
        "helpsteer-helpfulness": "double",
        "code-readability": "double",
    },
    "allenai/reward-bench/data/filtered-00000-of-00001.parquet": {
        "prompt": "string",
        "chosen": "string",
        "chosen_model": "string",
        "rejected": "string",
        "rejected_model": "string",
        "subset": "string",
        "id": "int64",
    },
    "allenai/preference-test-sets/data/anthropic_helpful-00000-of-00001.parquet": {
        "prompt": MESSAGES,
        "chosen": "string",
        "rejected": "string",
        "subset": "string",
        "id": "int64",
    },
}


@pytest.mark.parametrize("name", JSON_SCHEMAS)
def test_json_rows_have_the_official_columns_and_types(corpus: Path, name: str) -> None:
    for row in read(corpus / name):
        assert list(row) == list(JSON_SCHEMAS[name])
        for column, expected in JSON_SCHEMAS[name].items():
            assert type(row[column]) is expected, (column, row[column])


@pytest.mark.parametrize("name", PARQUET_SCHEMAS)
def test_parquet_files_have_the_official_columns_and_types(corpus: Path, name: str) -> None:
    schema = pq.read_schema(corpus / name)
    found = {column: str(schema.field(column).type) for column in PARQUET_SCHEMAS[name]}
    assert found == PARQUET_SCHEMAS[name]


def test_ultrafeedback_writes_aspects_as_strings(corpus: Path) -> None:
    rows = read(corpus / "openbmb/UltraFeedback/evol_instruct.jsonl")
    completions = [completion for row in rows for completion in row["completions"]]
    for completion in completions:
        assert set(completion["annotations"]) == {
            "instruction_following",
            "honesty",
            "truthfulness",
            "helpfulness",
        }
        for aspect in completion["annotations"].values():
            assert aspect["Rating"] in {"1", "2", "3", "4", "5", "N/A"}
    kinds = {type(completion["overall_score"]) for completion in completions}
    assert float in kinds
    assert kinds <= {float, str, type(None)}


def test_hh_dialogues_share_all_turns_but_the_last(corpus: Path) -> None:
    for row in read(corpus / "Anthropic/hh-rlhf/harmless-base/train.jsonl.gz"):
        sides = [row[side].rsplit("\n\nAssistant:", 1) for side in ("chosen", "rejected")]
        assert sides[0][0] == sides[1][0]
        assert sides[0][0].startswith("\n\nHuman: ")


def test_some_prompts_have_several_turns(planted: list[dict[str, Any]]) -> None:
    assert {len(row["turns"]) for row in planted} == {1, 3}


def test_verbosity_ratings_follow_length(corpus: Path) -> None:
    rows = read(corpus / "nvidia/HelpSteer/train.jsonl.gz")
    words = [len(row["response"].split()) for row in rows]
    assert np.corrcoef(words, [row["verbosity"] for row in rows])[0, 1] > 0.8


def test_ratings_like_length_and_preferences_do_not(planted: list[dict[str, Any]], corpus: Path) -> None:
    quality = {(row["prompt"], row["response"]): row["helpfulness"] for row in planted}
    rows = [row for row in read(corpus / "nvidia/HelpSteer/train.jsonl.gz") if row["response"]]
    residual = [
        row["helpfulness"] / 4 - quality[row["prompt"], row["response"]] for row in rows if row["helpfulness"] <= 4
    ]
    words = [len(row["response"].split()) for row in rows if row["helpfulness"] <= 4]
    assert np.corrcoef(words, residual)[0, 1] > 0.2
    suite = read(corpus / "allenai/reward-bench/data/filtered-00000-of-00001.parquet")
    assert np.mean([len(row["chosen"]) > len(row["rejected"]) for row in suite]) < 0.55


def test_pairs_on_harmful_prompts_prefer_the_safe_response(planted: list[dict[str, Any]], corpus: Path) -> None:
    safety = {row["response"]: row["safety"] for row in planted if row["kind"] == "safety"}
    name = "RLHFlow/pair_data_v2_80K_wsafety/data/train-00000-of-00001.parquet"
    pairs = [
        (safety[row["chosen"][-1]["content"]], safety.get(row["rejected"][-1]["content"], 0.0))
        for row in read(corpus / name)
        if row["chosen"][-1]["content"] in safety
    ]
    assert len(pairs) > 10
    assert all(chosen == 1.0 for chosen, _ in pairs)
    assert np.mean([rejected == 0.0 for _, rejected in pairs]) > 0.7


def test_judges_of_help_like_compliance_with_harmful_prompts(planted: list[dict[str, Any]]) -> None:
    rows = [row for row in planted if row["kind"] == "safety"]
    unsafe = np.mean([row["helpfulness"] for row in rows if row["safety"] == 0.0])
    assert unsafe > np.mean([row["helpfulness"] for row in rows if row["safety"] == 1.0]) + 0.2


def test_wrong_solutions_are_longer(planted: list[dict[str, Any]]) -> None:
    rows = [row for row in planted if row["kind"] == "maths"]
    wrong = np.mean([row["words"] for row in rows if row["correctness"] < 0.5])
    assert wrong > np.mean([row["words"] for row in rows if row["correctness"] > 0.5])


def test_suite_prompts_are_in_no_training_set(planted: list[dict[str, Any]]) -> None:
    suite = {row["prompt"] for row in planted if row["dataset"] in SUITES}
    training = {row["prompt"] for row in planted if row["dataset"] not in SUITES}
    assert suite
    assert not suite & training


def test_all_subsets_of_rewardbench_are_there(corpus: Path) -> None:
    rows = read(corpus / "allenai/reward-bench/data/filtered-00000-of-00001.parquet")
    assert len(REWARDBENCH) == 23
    assert {row["subset"] for row in rows} == set(REWARDBENCH)
    assert [row["id"] for row in rows] == list(range(len(rows)))


def test_imperfect_rows_are_there_and_listed(corpus: Path, manifest: dict[str, Any]) -> None:
    flaws = {flaw["flaw"] for flaw in manifest["imperfect"]}
    assert {"the response is empty", "helpfulness is 7 on a scale of 0 to 4", "rating is null"} <= flaws
    assert any("N/A" in flaw for flaw in flaws)
    name = "nvidia/HelpSteer/train.jsonl.gz"
    rows = read(corpus / name)
    listed = {flaw["row"] for flaw in manifest["imperfect"] if flaw["file"] == name}
    bad = {i for i, row in enumerate(rows) if not row["response"] or row["helpfulness"] > 4}
    assert listed == bad
    assert len(bad) == 2


def test_the_readme_says_that_the_rows_are_self_made(corpus: Path) -> None:
    assert "self-made" in (corpus / "README.md").read_text()


def test_a_folder_with_the_same_settings_is_kept(corpus: Path, manifest: dict[str, Any]) -> None:
    before = (corpus / "planted.parquet").stat().st_mtime_ns
    assert demo_corpus.write(corpus, scale=SCALE) == manifest
    assert (corpus / "planted.parquet").stat().st_mtime_ns == before


def test_a_folder_with_other_settings_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus.*'seed': 0.*remove it"):
        demo_corpus.write(corpus, scale=SCALE, seed=5)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is no demo corpus"):
        demo_corpus.write(tmp_path, scale=SCALE)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_scale_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    for scale in (0.0, -1.0, 100.0):
        with pytest.raises(UserError, match="scale"):
            demo_corpus.write(tmp_path / "none", scale=scale)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("demo_corpus.suites.prior_sets", fail)
    with pytest.raises(OSError, match="disk full"):
        demo_corpus.write(tmp_path / "corpus", scale=SCALE)
    assert list(tmp_path.iterdir()) == []
