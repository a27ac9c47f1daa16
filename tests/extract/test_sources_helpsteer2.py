"""HelpSteer2, HelpSteer3, Skywork-Reward-Preference and Nectar: rows of the real shapes become exact records."""

from typing import Any

import pytest

from extract.records import Message, PreferencePair, Prompt, RatedResponse
from extract.sources import SOURCES
from tests.extract.rows import reason, records, talk, user

MULTI: Prompt = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"))
SPELT = "Q1\n<extra_id_1>Assistant\nA1\n<extra_id_1>User\nQ2"

RATED = {
    "prompt": SPELT,
    "response": "R",
    "helpfulness": 4,
    "correctness": 3,
    "coherence": 4,
    "complexity": 1,
    "verbosity": 2,
}


def test_helpsteer2_rates_a_conversation_on_helpsteers_objectives() -> None:
    ratings = {f"helpsteer-{name}": float(RATED[name]) for name in list(RATED)[2:]}  # type: ignore[arg-type]
    assert records("helpsteer2", RATED) == [RatedResponse("f#7", MULTI, "R", ratings)]
    assert set(ratings) == set(SOURCES["helpsteer2"].objectives)
    assert records("helpsteer2", RATED | {"prompt": "Q"}) == [RatedResponse("f#7", user("Q"), "R", ratings)]


def strength2(strength: Any, **values: Any) -> dict[str, Any]:
    return {
        "split": "train",
        "prompt": SPELT,
        "response_1": "one",
        "response_2": "two",
        "preference_strength": strength,
        "preference_statement": "Response 2 is better.",
        "preference_elaboration": "",
        "three_most_similar_preferences": [],
        "all_preferences_unprocessed": [],
    } | values


def strength3(strength: Any, **values: Any) -> dict[str, Any]:
    return {
        "domain": "code",
        "language": "python",
        "context": talk("Q1", "A1", "Q2"),
        "response1": "one",
        "response2": "two",
        "overall_preference": strength,
        "individual_preference": [],
    } | values


SETS = {"helpsteer2_preference": strength2, "helpsteer3": strength3}


@pytest.mark.parametrize("source", SETS)
@pytest.mark.parametrize(
    ("strength", "chosen", "rejected", "margin"),
    [(-3, "one", "two", 3.0), (-1, "one", "two", 1.0), (2, "two", "one", 2.0), ("3", "two", "one", 3.0)],
)
def test_the_sign_of_the_strength_says_which_is_better(
    source: str, strength: Any, chosen: str, rejected: str, margin: float
) -> None:
    assert records(source, SETS[source](strength)) == [PreferencePair("f#7", MULTI, chosen, rejected, margin)]


@pytest.mark.parametrize("source", SETS)
@pytest.mark.parametrize(
    ("strength", "why"),
    [
        (0, "is 0, so neither response is preferred"),
        (4, "is 4, expected -3 to 3"),
        (-100, "is -100, expected -3 to 3"),
        (None, "is empty"),
        ("N/A", "is empty"),
        ("much better", "is 'much better', expected a number"),
        ([1], "is list, expected a number"),
    ],
)
def test_a_strength_that_prefers_nothing_is_refused(source: str, strength: Any, why: str) -> None:
    column = next(name for name in ("preference_strength", "overall_preference") if name in SETS[source](0))
    assert reason(records(source, SETS[source](strength))[0]) == f"column '{column}' {why}"


@pytest.mark.parametrize(
    ("source", "row", "why"),
    [
        ("helpsteer2_preference", strength2(1, prompt="Q\n<extra_id_1>User\nQ2"), "it spells a conversation"),
        ("helpsteer2_preference", strength2(1, response_2="one"), "chosen and rejected are the same text"),
        ("helpsteer2_preference", strength2(1, response_1=None), "column 'response_1' is empty"),
        ("helpsteer3", strength3(1, context="Q"), "column 'context' is not a non-empty list of messages"),
        ("helpsteer3", strength3(1, context=[]), "column 'context' is not a non-empty list of messages"),
        ("helpsteer3", strength3(1, response2=" "), "column 'response2' is empty"),
        ("helpsteer2", RATED | {"response": None}, "column 'response' is empty"),
        ("skywork_reward_preference", {"chosen": talk("Q", "a")}, "column 'rejected' is missing"),
        (
            "skywork_reward_preference",
            {"chosen": talk("Q", "a"), "rejected": talk("R", "b")},
            "chosen and rejected differ before their last turn",
        ),
        (
            "nectar",
            {"prompt": "\n\nHuman: Q\n\nAssistant: ", "answers": []},
            "column 'answers' is not a non-empty list",
        ),
    ],
)
def test_rows_of_another_shape_are_refused(source: str, row: dict[str, Any], why: str) -> None:
    assert reason(records(source, row)[0]).startswith(why)


def test_skywork_pairs_have_their_prompt_in_both_conversations() -> None:
    row = {
        "chosen": talk("Q1", "A1", "Q2", "good"),
        "rejected": talk("Q1", "A1", "Q2", "bad"),
        "source": "magpie_pro_llama3.1",
    }
    assert records("skywork_reward_preference", row) == [PreferencePair("f#7", MULTI, "good", "bad")]


def test_nectar_gives_one_pair_of_a_dialogue() -> None:
    answers = [{"answer": f"a{rank}", "model": "m", "rank": float(rank)} for rank in (3, 1, 7, 2, 6, 4, 5)]
    row = {
        "prompt": "\n\nHuman: Q1\n\nAssistant: A1\n\nHuman: Q2\n\nAssistant: ",
        "answers": answers,
        "turns": 2,
        "num_responses": 7,
        "source": ["anthropic-hh"],
        "good_natured": True,
    }
    (pair,) = records("nectar", row)
    assert isinstance(pair, PreferencePair)
    assert (pair.prompt, pair.chosen) == (MULTI, "a1")
    assert pair.rejected == f"a{int(pair.margin or 0) + 1}"
