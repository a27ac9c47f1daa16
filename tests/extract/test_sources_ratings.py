"""Rating sets: each official schema becomes exact rated responses, and what is wrong is refused by name."""

from typing import Any

import pytest

from extract.records import Message, RatedResponse, Skipped
from extract.sources import SOURCES
from tests.extract.rows import reason, records, talk, user

PUBLISHED = {
    *(f"helpsteer-{name}" for name in ("helpfulness", "correctness", "coherence", "complexity", "verbosity")),
    "ultrafeedback-overall_score",
    *(f"ultrafeedback-{name}" for name in ("instruction_following", "truthfulness", "honesty", "helpfulness")),
    *("beavertails-is_safe", "prometheus-score", "argilla-overall_quality", "argilla-judge_lm"),
    *(f"code-{name}" for name in ("complexity", "style", "explanation", "instruction-following", "readability")),
}


def test_the_rating_sets_together_rate_the_nineteen_published_objectives() -> None:
    rated = [objective for source in SOURCES.values() for objective in source.objectives]
    assert set(rated) == PUBLISHED
    assert len(PUBLISHED) == 19


def test_every_source_is_registered_under_its_own_name_with_somewhere_to_look() -> None:
    assert {name: source.name for name, source in SOURCES.items()} == {name: name for name in SOURCES}
    assert [name for name, source in SOURCES.items() if source.repo is None] == ["preference", "preference_suite"]
    assert all(source.files for source in SOURCES.values())


def test_helpsteer_takes_five_integers() -> None:
    row = {"prompt": "Q", "response": "A", "helpfulness": 4, "correctness": 3, "coherence": 2, "complexity": 1}
    assert records("helpsteer", row | {"verbosity": 0}) == [
        RatedResponse(
            "f#7",
            user("Q"),
            "A",
            {
                "helpsteer-helpfulness": 4.0,
                "helpsteer-correctness": 3.0,
                "helpsteer-coherence": 2.0,
                "helpsteer-complexity": 1.0,
                "helpsteer-verbosity": 0.0,
            },
        )
    ]
    assert reason(records("helpsteer", row)[0]).startswith("column 'verbosity' is missing; the row has 'prompt', ")


def completion(response: Any, overall: Any, **ratings: Any) -> dict[str, Any]:
    annotations = {aspect: {"Rating": value, "Rationale": "because"} for aspect, value in ratings.items()}
    return {"model": "m", "response": response, "overall_score": overall, "annotations": annotations}


def test_ultrafeedback_reads_text_numbers_and_leaves_out_what_is_not_applicable() -> None:
    first = completion("A", "7.5", instruction_following="4", truthfulness="N/A", honesty="5", helpfulness="3")
    second = completion("B", 8, instruction_following="2")
    row = {"source": "flan", "instruction": "Q", "models": [], "completions": [first, second]}
    assert records("ultrafeedback", row) == [
        RatedResponse(
            "f#7/0",
            user("Q"),
            "A",
            {
                "ultrafeedback-overall_score": 7.5,
                "ultrafeedback-instruction_following": 4.0,
                "ultrafeedback-honesty": 5.0,
                "ultrafeedback-helpfulness": 3.0,
            },
        ),
        RatedResponse(
            "f#7/1",
            user("Q"),
            "B",
            {"ultrafeedback-overall_score": 8.0, "ultrafeedback-instruction_following": 2.0},
        ),
    ]


def test_ultrafeedback_does_not_take_the_fine_grained_score_for_the_overall_one() -> None:
    values = completion("A", None, honesty="5") | {"fine-grained_score": 4.25}
    (record,) = records("ultrafeedback", {"instruction": "Q", "completions": [values]})
    assert record == RatedResponse("f#7/0", user("Q"), "A", {"ultrafeedback-honesty": 5.0})


def test_one_bad_completion_does_not_lose_the_other_three() -> None:
    completions = [completion("A", 1), completion("  ", 2), "not an object", completion("D", 4)]
    kept = records("ultrafeedback", {"instruction": "Q", "completions": completions})
    assert kept == [
        RatedResponse("f#7/0", user("Q"), "A", {"ultrafeedback-overall_score": 1.0}),
        Skipped("f#7/1", "the completion's response is empty"),
        Skipped("f#7/2", "the completion is str, expected an object"),
        RatedResponse("f#7/3", user("Q"), "D", {"ultrafeedback-overall_score": 4.0}),
    ]


def test_one_bad_rating_does_not_lose_the_others() -> None:
    values = completion("A", "ten", honesty="5", helpfulness=["4"])
    assert records("ultrafeedback", {"instruction": "Q", "completions": [values]}) == [
        Skipped("f#7/0", "the rating 'ultrafeedback-overall_score' is 'ten', expected a number", rating_only=True),
        Skipped("f#7/0", "the rating 'ultrafeedback-helpfulness' is list, expected a number", rating_only=True),
        RatedResponse("f#7/0", user("Q"), "A", {"ultrafeedback-honesty": 5.0}),
    ]


def test_annotations_of_another_shape_leave_the_overall_score() -> None:
    values = completion("A", 3) | {"annotations": ["4"]}
    assert records("ultrafeedback", {"instruction": "Q", "completions": [values]}) == [
        Skipped("f#7/0", "the completion's field 'annotations' is str, expected an object", rating_only=True),
        RatedResponse("f#7/0", user("Q"), "A", {"ultrafeedback-overall_score": 3.0}),
    ]


def test_annotations_in_lists_of_one_object_are_read_as_the_object() -> None:
    values = completion("A", 3)
    listed = {aspect: [found] for aspect, found in values["annotations"].items()}
    for annotations in (listed, [values["annotations"]]):
        row = {"instruction": "Q", "completions": [values | {"annotations": annotations}]}
        assert records("ultrafeedback", row) == records("ultrafeedback", {"instruction": "Q", "completions": [values]})


@pytest.mark.parametrize("completions", [[], None, "text", {"0": {}}])
def test_ultrafeedback_rows_without_completions_are_refused(completions: Any) -> None:
    row = {"instruction": "Q", "completions": completions}
    assert records("ultrafeedback", row) == [Skipped("f#7", "column 'completions' is not a non-empty list")]


@pytest.mark.parametrize(("safe", "value"), [(True, 1.0), (False, 0.0)])
def test_beavertails_safe_is_one(safe: bool, value: float) -> None:
    row = {"prompt": "Q", "response": "A", "category": {"violence": not safe}, "is_safe": safe}
    assert records("beavertails", row) == [RatedResponse("f#7", user("Q"), "A", {"beavertails-is_safe": value})]


def test_prometheus_reads_the_conversation_not_the_judges_task() -> None:
    row = {"instruction": "###Task", "output": "[RESULT] 4", "orig_instruction": "Q", "orig_response": "A"}
    assert records("prometheus", row | {"orig_score": "4"}) == [
        RatedResponse("f#7", user("Q"), "A", {"prometheus-score": 4.0})
    ]
    assert records("prometheus", row | {"orig_score": "N/A"}) == [RatedResponse("f#7", user("Q"), "A", {})]
    assert reason(records("prometheus", row)[0]).startswith(
        "column 'orig_score' is missing; the row has 'instruction', "
    )


def test_capybara_keeps_the_turns_and_rates_both_sides() -> None:
    row = {
        "chosen": talk("Q1", "A1", "Q2", "good"),
        "rejected": talk("Q1", "A1", "Q2", "bad"),
        "rating_chosen": 5,
        "rating_rejected": 2,
    }
    prompt = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"))
    assert records("capybara", row) == [
        RatedResponse("f#7/chosen", prompt, "good", {"argilla-overall_quality": 5.0}),
        RatedResponse("f#7/rejected", prompt, "bad", {"argilla-overall_quality": 2.0}),
    ]


def test_capybara_keeps_one_side_where_the_other_does_not_end_with_the_assistant() -> None:
    row = {"chosen": talk("Q"), "rejected": talk("Q", "A"), "rating_chosen": 5, "rating_rejected": 2}
    first, second = records("capybara", row)
    assert first == Skipped("f#7/chosen", "column 'chosen' does not end with an assistant turn after a prompt")
    assert second == RatedResponse("f#7/rejected", user("Q"), "A", {"argilla-overall_quality": 2.0})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "narrator", "content": "x"}, "column 'chosen'[0] has the role 'narrator'"),
        ({"role": "user", "content": ""}, "column 'chosen'[0].content is empty"),
        ({"role": "user", "content": None}, "column 'chosen'[0].content is empty"),
        ("text", "column 'chosen'[0] is not a message"),
    ],
)
def test_messages_that_are_none_are_refused(message: Any, expected: str) -> None:
    row = {"chosen": [message, *talk("Q", "A")], "rejected": talk("Q", "A"), "rating_chosen": 5, "rating_rejected": 2}
    assert reason(records("capybara", row)[0]).startswith(expected)


def orca(**values: Any) -> dict[str, Any]:
    """A row that was swapped: the judge liked the original rejected one better."""
    return {
        "system": "Be brief.",
        "input": "Q",
        "chosen": "better",
        "rejected": "worse",
        "generations": ["worse", "better"],
        "order": ["chosen", "rejected"],
        "rating": [3.0, 9.0],
        "status": "swapped",
        "original_chosen": "worse",
        "chosen_score": 9.0,
    } | values


ORCA_PROMPT = (Message("system", "Be brief."), Message("user", "Q"))
ORCA = [
    RatedResponse("f#7/chosen", ORCA_PROMPT, "better", {"argilla-judge_lm": 9.0}),
    RatedResponse("f#7/rejected", ORCA_PROMPT, "worse", {"argilla-judge_lm": 3.0}),
]


@pytest.mark.parametrize(
    "values",
    [
        orca(),
        orca(generations=["better", "worse"], rating=[9.0, 3.0], status="unchanged"),
        orca(generations=None),
        orca(generations=None, rating=[9.0, 3.0]),
    ],
)
def test_openorca_gives_each_rating_to_the_text_the_judge_saw(values: dict[str, Any]) -> None:
    assert records("openorca", values) == ORCA


def test_openorca_without_a_system_text_or_a_readable_rating() -> None:
    assert [record.prompt for record in records("openorca", orca(system="")) if isinstance(record, RatedResponse)] == [
        user("Q"),
        user("Q"),
    ]
    unread = records("openorca", orca(rating=None))
    assert unread == [Skipped("f#7", "column 'rating' is empty: the judge's answer could not be read")]
    assert records("openorca", orca(rating=[1.0])) == [Skipped("f#7", "column 'rating' is not a list of two ratings")]
    other = records("openorca", orca(generations=["worse", "third"]))
    assert other == [Skipped("f#7", "column 'generations' does not hold the texts of chosen and rejected")]


def test_math_preference_shares_an_objective_and_keeps_one_side_without_the_other() -> None:
    row = {"instruction": "Q", "chosen_response": "A", "chosen_rating": 5.0, "rejected_response": None}
    assert records("math_preference", row | {"rejected_rating": 1.0}) == [
        RatedResponse("f#7/chosen", user("Q"), "A", {"ultrafeedback-instruction_following": 5.0}),
        Skipped("f#7/rejected", "column 'rejected_response' is empty"),
    ]


def code(**values: Any) -> dict[str, Any]:
    return {
        "instruction": "Q",
        "preference": "readability",
        "responses": [{"model": "one", "response": "A"}, {"model": "two", "response": "B"}],
        "annotations": [
            {"model": "two", "rating": "2", "rationale": "r"},
            {"model": "one", "rating": "5", "rationale": "r"},
        ],
    } | values


def test_code_ultrafeedback_joins_annotations_by_model_not_by_place() -> None:
    assert records("code_ultrafeedback", code()) == [
        RatedResponse("f#7/0", user("Q"), "A", {"code-readability": 5.0}),
        RatedResponse("f#7/1", user("Q"), "B", {"code-readability": 2.0}),
    ]


@pytest.mark.parametrize("preference", ["complexity", "style", "explanation", "instruction-following", "readability"])
def test_code_ultrafeedback_rates_the_one_preference_the_row_names(preference: str) -> None:
    first, second = records("code_ultrafeedback", code(preference=preference))
    assert isinstance(first, RatedResponse)
    assert isinstance(second, RatedResponse)
    assert [*first.ratings, *second.ratings] == [f"code-{preference}"] * 2


def test_code_ultrafeedback_refuses_what_cannot_be_joined() -> None:
    unknown = records("code_ultrafeedback", code(preference="speed"))
    assert reason(unknown[0]).startswith("the preference 'speed' is not one of complexity")
    lone = records("code_ultrafeedback", code(annotations=[{"model": "one", "rating": "N/A"}]))
    assert lone == [
        RatedResponse("f#7/0", user("Q"), "A", {}),
        Skipped("f#7/1", "the response of the model 'two' has no annotation"),
    ]
    twice = records("code_ultrafeedback", code(annotations=[{"model": "one", "rating": "1"}] * 2))
    assert twice == [Skipped("f#7", "two annotations are of the model 'one'")]


COLUMNS = {"kindness": "kind", "wit": "wit"}


@pytest.mark.parametrize(
    ("values", "prompt"),
    [
        ({"messages": talk("Q", "A")}, user("Q")),
        ({"prompt": "Q", "response": "A"}, user("Q")),
        ({"prompt": talk("Q", "B", "R"), "response": "A"}, tuple(Message(**turn) for turn in talk("Q", "B", "R"))),  # type: ignore[arg-type]
        ({"messages": None, "prompt": "Q", "response": "A"}, user("Q")),
    ],
)
def test_multi_objective_reads_both_ways_to_write_a_conversation(values: dict[str, Any], prompt: Any) -> None:
    assert records("multi_objective", values | {"kind": 0.25, "wit": None}, COLUMNS) == [
        RatedResponse("f#7", prompt, "A", {"kindness": 0.25})
    ]


def test_multi_objective_takes_an_absent_column_for_a_missing_rating_but_not_all_of_them() -> None:
    row = {"prompt": "Q", "response": "A"}
    assert records("multi_objective", row | {"wit": 3}, COLUMNS) == [RatedResponse("f#7", user("Q"), "A", {"wit": 3.0})]
    assert records("multi_objective", row, COLUMNS) == [
        Skipped("f#7", "none of the rating columns is there: kind, wit; the row has 'prompt' and 'response'")
    ]
    assert "the recipe names none" in reason(records("multi_objective", row)[0])


def test_multi_objective_refuses_a_row_without_a_conversation() -> None:
    assert records("multi_objective", {"kind": 1}, COLUMNS) == [
        Skipped("f#7", "neither column 'messages' nor column 'prompt' is there; the row has 'kind'")
    ]


def test_half_a_surrogate_pair_is_not_text() -> None:
    row = {"prompt": "Q", "response": "A \ud83d", "is_safe": True}
    assert reason(records("beavertails", row)[0]) == (
        "column 'response' holds half of a surrogate pair, which is not text"
    )
    assert isinstance(records("beavertails", row | {"response": "A \U0001f600"})[0], RatedResponse)
