"""Suites: rows keep the official id and subset, and a refused row is missed in its subset."""

from typing import Any

import pytest

from evaluation.suites.reward_bench import SECTION_OF
from extract.records import Message, Record, Skipped, SuiteItem
from extract.sources import SOURCES, preference_test_sets, reward_bench
from extract.sources.reader import parse_row
from extract.sources.source import RawRow
from tests.extract.rows import records, talk, user


def bench(**values: Any) -> dict[str, Any]:
    return {
        "prompt": "Q",
        "chosen": "good",
        "chosen_model": "m",
        "rejected": "bad",
        "rejected_model": "n",
        "subset": "hep-go",
        "id": 2821,
    } | values


def test_reward_bench_rows_keep_the_official_id() -> None:
    assert records("reward_bench", bench()) == [SuiteItem("2821", "hep-go", user("Q"), ("good",), ("bad",))]
    assert records("reward_bench", bench(id=0)) == [SuiteItem("0", "hep-go", user("Q"), ("good",), ("bad",))]


def test_reward_bench_keeps_a_tie_since_a_tie_counts_as_wrong() -> None:
    assert records("reward_bench", bench(rejected="good")) == [
        SuiteItem("2821", "hep-go", user("Q"), ("good",), ("good",))
    ]


@pytest.mark.parametrize(
    ("values", "expected", "subset"),
    [
        ({"chosen": ""}, "column 'chosen' is empty", "hep-go"),
        ({"prompt": None}, "column 'prompt' is empty", "hep-go"),
        ({"id": None}, "column 'id' is empty", "hep-go"),
        ({"subset": "hep-cobol"}, "the subset 'hep-cobol' is not one of RewardBench's", None),
        ({"subset": None}, "column 'subset' is empty", None),
    ],
)
def test_reward_bench_refusals_carry_the_subset(values: dict[str, Any], expected: str, subset: str | None) -> None:
    assert records("reward_bench", bench(**values)) == [Skipped("f#7", expected, subset)]


def test_the_subsets_read_are_the_subsets_scored() -> None:
    assert {*reward_bench.SUBSETS, *preference_test_sets.SUBSETS} == set(SECTION_OF)
    assert len(reward_bench.SUBSETS) == 23


def prior(where: str, **values: Any) -> Record | Skipped:
    row = {"prompt": talk("Q1", "A1", "Q2"), "chosen": "good", "rejected": "bad"} | values
    (record,) = parse_row(SOURCES["preference_test_sets"], RawRow(row, where))
    return record


PROMPT = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"))


@pytest.mark.parametrize(
    ("file", "subset"),
    [
        ("data/anthropic_helpful-00000-of-00001.parquet", "anthropic_helpful"),
        ("data/anthropic_hhh-00000-of-00001-0a1b2c.parquet", "anthropic_hhh"),
        ("shp.jsonl.gz", "shp"),
        ("summarize.parquet", "summarize"),
    ],
)
def test_prior_sets_take_the_subset_from_the_name_of_the_file(file: str, subset: str) -> None:
    assert prior(f"{file}#3") == SuiteItem(f"{file}#3", subset, PROMPT, ("good",), ("bad",))


def test_prior_sets_do_not_take_a_subset_column_for_the_subset() -> None:
    record = prior("data/anthropic_hhh-0.parquet#0", subset="honest")
    assert isinstance(record, SuiteItem)
    assert record.subset == "anthropic_hhh"


def test_prior_sets_may_hold_whole_conversations() -> None:
    where = "data/shp-0.parquet#0"
    chosen, rejected = talk("Q1", "A1", "Q2", "good"), talk("Q1", "A1", "Q2", "bad")
    assert prior(where, prompt="Q1", chosen=chosen, rejected=rejected) == SuiteItem(
        where, "shp", PROMPT, ("good",), ("bad",)
    )


def test_prior_sets_alternate_roles_as_the_official_loader_does() -> None:
    prompt = [{"role": role, "content": text} for role, text in (("human", "Q1"), ("", "A1"), ("assistant", "Q2"))]
    record = prior("data/anthropic_hhh-0.parquet#0", prompt=prompt)
    assert isinstance(record, SuiteItem)
    assert record.prompt == PROMPT


def test_prior_sets_refusals_carry_the_subset() -> None:
    where = "data/summarize-0.parquet#4"
    assert prior(where, rejected=" ") == Skipped(where, "column 'rejected' is empty", "summarize")
    other = prior("data/mtbench_gpt4-0.parquet#4")
    assert isinstance(other, Skipped)
    assert other.reason.startswith("the file name 'mtbench_gpt4-0.parquet' does not start with one of anthropic")
    assert other.subset is None


def second(**values: Any) -> dict[str, Any]:
    return {"id": "12", "prompt": "Q", "chosen": ["good"], "rejected": ["a", "b", "c"], "subset": "Math"} | values


def test_reward_bench_2_rows_have_one_good_and_several_bad_responses() -> None:
    assert records("reward_bench_2", second()) == [SuiteItem("12", "Math", user("Q"), ("good",), ("a", "b", "c"))]


def test_reward_bench_2_ties_keep_which_form_of_which_question_they_are() -> None:
    row = second(id="tied:5", subset="Ties", chosen=["x", "y"])
    assert records("reward_bench_2", row) == [
        SuiteItem("tied:5", "Ties", user("Q"), ("x", "y"), ("a", "b", "c"), {"tie": "tied", "number": "5"})
    ]
    (reference,) = records("reward_bench_2", second(id="ref:5", subset="Ties"))
    assert isinstance(reference, SuiteItem)
    assert reference.metadata == {"tie": "ref", "number": "5"}


@pytest.mark.parametrize(
    ("values", "expected", "subset"),
    [
        ({"subset": "Maths"}, "the subset 'Maths' is not one of RewardBench 2's", None),
        ({"chosen": ["x", "y"]}, "column 'chosen' has 2 responses, expected 1", "Math"),
        ({"chosen": []}, "column 'chosen' is not a non-empty list", "Math"),
        ({"rejected": ["a", ""]}, "column 'rejected'[1] is empty", "Math"),
        ({"subset": "Ties"}, "the id '12' is not ref:N or tied:N", "Ties"),
        ({"subset": "Ties", "id": "tied"}, "the id 'tied' is not ref:N or tied:N", "Ties"),
    ],
)
def test_reward_bench_2_refusals_carry_the_subset(values: dict[str, Any], expected: str, subset: str | None) -> None:
    assert records("reward_bench_2", second(**values)) == [Skipped("f#7", expected, subset)]


def styles(**values: Any) -> dict[str, Any]:
    row = {"id": "r1", "prompt": "Q", "chosen": ["a", "b", "c"], "rejected": ["x", "y", "z"], "domain": "safety-refuse"}
    return row | values


def test_reward_bench_2_ties_may_have_one_right_answer_in_the_form_for_several() -> None:
    (item,) = records("reward_bench_2", second(id="tied:5", subset="Ties"))
    assert isinstance(item, SuiteItem)
    assert item.metadata == {"tie": "tied", "number": "5"}


def test_rm_bench_keeps_the_order_of_styles() -> None:
    assert records("rm_bench", styles()) == [
        SuiteItem("r1", "safety-refuse", user("Q"), ("a", "b", "c"), ("x", "y", "z"))
    ]
    assert records("rm_bench", styles(rejected=["x"])) == [
        Skipped("f#7", "column 'rejected' has 1 responses, expected 3", "safety-refuse")
    ]
    assert records("rm_bench", styles(domain="poetry")) == [
        Skipped("f#7", "the domain 'poetry' is not one of RM-Bench's", None)
    ]


def test_rm_bench_takes_the_domain_of_the_files_of_one_domain_from_their_name() -> None:
    row = {key: value for key, value in styles().items() if key != "domain"}
    (item,) = parse_row(SOURCES["rm_bench"], RawRow(row, "data/safety-response_filtered.json#3"))
    assert isinstance(item, SuiteItem)
    assert item.subset == "safety-response"


def judged(**values: Any) -> dict[str, Any]:
    return {
        "pair_id": "p1",
        "original_id": 10646,
        "source": "mmlu-pro-law",
        "question": "Q",
        "response_model": "gpt-4o-2024-05-13",
        "response_A": "a",
        "response_B": "b",
        "label": "A>B",
    } | values


def test_judge_bench_takes_the_right_response_from_the_label() -> None:
    subset = "gpt-4o-2024-05-13/mmlu-pro-law"
    assert records("judge_bench", judged()) == [SuiteItem("p1", subset, user("Q"), ("a",), ("b",))]
    assert records("judge_bench", judged(label="B>A")) == [SuiteItem("p1", subset, user("Q"), ("b",), ("a",))]
    assert records("judge_bench", judged(label="A=B")) == [
        Skipped("f#7", "the label 'A=B' is neither 'A>B' nor 'B>A'", subset)
    ]
    (refused,) = records("judge_bench", judged(source="trivia"))
    assert refused == Skipped("f#7", "the source 'trivia' is not one of JudgeBench's", None)


def translated(where: str, **values: Any) -> Record | Skipped:
    row = {"id": 3, "prompt": "Q", "chosen": "good", "rejected": "bad", "source": "hep-go"} | values
    (record,) = parse_row(SOURCES["m_reward_bench"], RawRow(row, where))
    return record


def test_m_reward_bench_takes_the_language_from_its_column_or_else_from_the_folder() -> None:
    expected = SuiteItem(
        "fra_Latn/3", "fra_Latn/hep-go", user("Q"), ("good",), ("bad",), {"language": "fra_Latn", "id": "3"}
    )
    assert translated("fra_Latn/test-00000-of-00001.parquet#0") == expected
    assert translated("anywhere.jsonl#0", language="fra_Latn") == expected
    assert translated("fra_Latn/test-0.parquet#0", language="French") == expected
    assert translated("fra_Latn/test-0.parquet#0", subset="hep-go", source="m-rewardbench") == expected


def test_m_reward_bench_refuses_other_languages_and_subsets() -> None:
    refused = translated("translation/test-0.parquet#0")
    assert isinstance(refused, Skipped)
    assert "'translation' is one of M-RewardBench's languages" in refused.reason
    assert translated("fra_Latn/test-0.parquet#0", source="maple-easy") == Skipped(
        "fra_Latn/test-0.parquet#0", "the subset 'maple-easy' is not one of RewardBench's", None
    )


def retrieved(where: str, **values: Any) -> Record | Skipped:
    row = {"prompt": "[1] Paris is large. Which city?", "question": "Which city?", "chosen": "good", "reject": "bad"}
    (record,) = parse_row(SOURCES["rag_reward_bench"], RawRow(row | values, where))
    return record


def test_rag_reward_bench_takes_the_scenario_from_the_name_of_the_file() -> None:
    where = "Dataset/citation.jsonl#4"
    prompt = user("[1] Paris is large. Which city?")
    assert retrieved(where) == SuiteItem(where, "citation", prompt, ("good",), ("bad",))
    assert retrieved(where, rejected="worse") == SuiteItem(where, "citation", prompt, ("good",), ("worse",))
    refused = retrieved("Dataset/poetry.jsonl#0")
    assert isinstance(refused, Skipped)
    assert refused.subset is None


def test_rag_reward_bench_puts_the_question_behind_a_prompt_that_lacks_it() -> None:
    record = retrieved("Dataset/reason.jsonl#0", prompt="[1] Paris is large.")
    assert isinstance(record, SuiteItem)
    assert record.prompt == user("[1] Paris is large.\n\nWhich city?")


def answer(text: str) -> dict[str, Any]:
    return {"llm_name": "m", "answer": text}


ASKED = [{"role": "user", "content": "Q", "language": "English"}]


def test_rmb_reads_both_schemas_of_pairs_and_of_best_of_n() -> None:
    pair = "Pairwise_set/Helpfulness/Chat/Discussion"
    best = "BoN_set/Harmlessness/S1"
    repository = {"pair_uid": "7", "conversation_input": ASKED, "chosen": answer("a"), "reject": answer("b")}
    expected = [SuiteItem("7", pair, user("Q"), ("a",), ("b",))]
    assert records("rmb", repository | {"category_path": pair}) == expected
    hub = {"uid": "7", "conversation": ASKED, "responses": [answer("b"), answer("a")], "preferred_index": 1}
    assert records("rmb", hub | {"category_path": pair}) == expected
    several = {"bon_uid": "9", "conversation_input": ASKED, "bon_best": answer("a")}
    losers = {"loser_list": [answer("b"), answer("c")], "category_path": best}
    expected = [SuiteItem("9", best, user("Q"), ("a",), ("b", "c"))]
    assert records("rmb", several | losers) == expected
    hub = {"uid": "9", "conversation": ASKED, "responses": [answer("a"), answer("b"), answer("c")]}
    assert records("rmb", hub | {"preferred_index": 0, "category_path": best}) == expected


def test_rmb_keeps_empty_texts_since_the_official_scripts_score_them() -> None:
    path = "Pairwise_set/Helpfulness/Chat/Discussion"
    turns = [*ASKED, {"role": "assistant", "content": "A"}, {"role": "user", "content": ""}]
    row = {"pair_uid": "7", "conversation_input": turns, "chosen": answer("a"), "category_path": path}
    prompt = (*user("Q"), Message("assistant", "A"), Message("user", ""))
    assert records("rmb", row | {"reject": answer("")}) == [SuiteItem("7", path, prompt, ("a",), ("",))]
    for reject, words in ((None, "is empty"), ("\ud83d", "holds half of a surrogate pair, which is not text")):
        expected = [Skipped("f#7", f"column 'reject'.answer {words}", path)]
        assert records("rmb", row | {"reject": {"answer": reject}}) == expected


@pytest.mark.parametrize("index", [2, -1, None, True, "0"])
def test_rmb_refuses_an_index_of_no_response(index: Any) -> None:
    path = "Pairwise_set/Harmlessness/multi"
    row = {"uid": "7", "conversation": ASKED, "responses": [answer("a"), answer("b")], "category_path": path}
    assert records("rmb", row | {"preferred_index": index}) == [
        Skipped("f#7", f"column 'preferred_index' is {index!r}, of 2 responses", path)
    ]


def test_ones_own_rows_may_hold_one_response_a_side_or_several() -> None:
    row = {"prompt": "Q", "chosen": "a", "rejected": "b"}
    assert records("preference_suite", row) == [SuiteItem("f#7", "all", user("Q"), ("a",), ("b",))]
    several = {"prompt": talk("Q"), "chosen": ["a", "b"], "rejected": ["c"], "id": 5, "subset": "hard"}
    assert records("preference_suite", several) == [SuiteItem("5", "hard", user("Q"), ("a", "b"), ("c",))]
    whole = {"chosen": talk("Q", "a"), "rejected": talk("Q", "b")}
    assert records("preference_suite", whole) == [SuiteItem("f#7", "all", user("Q"), ("a",), ("b",))]
    assert records("preference_suite", row | {"rejected": ["b"]})[0] == Skipped(
        "f#7", "column 'rejected'[0] is not a message", "all"
    )
