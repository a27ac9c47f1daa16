"""Every chosen response beside every rejected one."""

import numpy as np
import pytest

from evaluation.pairs import pairs_of
from tests.evaluation.judged import judge
from tests.evaluation.suite_frames import random_pairs, scored


def test_a_row_of_two_chosen_and_three_rejected_is_six_pairs() -> None:
    pairs = pairs_of(scored([{"chosen": [5.0, 2.0], "rejected": [1.0, 2.0, 3.0]}], tokens=[10, 20, 1, 2, 3]))
    assert sorted(pairs.of("a")) == [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    assert sorted(pairs.length_gaps) == [7, 8, 9, 17, 18, 19]
    assert pairs.row.tolist() == [0] * 6
    assert pairs.row_outcomes().tolist() == [[4 / 6]]  # the tie is wrong


def test_rows_of_one_pair_are_right_or_wrong_as_the_suite_judges_them() -> None:
    frame = random_pairs(np.random.default_rng(0), 200)
    pairs = pairs_of(frame.sample(fraction=1.0, shuffle=True, seed=1))
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    for rule in pairs.rules:
        assert pairs.row_outcomes()[:, pairs.rules.index(rule)].mean() == pytest.approx(
            judge(shuffled, shuffled[f"score.{rule}"].to_numpy()).right.mean()
        )


def test_rows_that_share_a_prompt_are_known() -> None:
    pairs = pairs_of(scored([{"chosen": [1.0], "rejected": [0.0]}] * 4, prompts=[7, 3, 7, 9]))
    assert pairs.prompt[0] == pairs.prompt[2]
    assert len(set(pairs.prompt)) == 3


def test_a_response_without_a_score_leaves_its_pairs_without_a_gap() -> None:
    pairs = pairs_of(scored([{"chosen": [1.0], "rejected": [0.0, None]}, {"chosen": [1.0], "rejected": [0.0]}]))
    assert np.isnan(pairs.of("a")).tolist() == [False, True, False]
    outcomes = pairs.row_outcomes()
    assert np.isnan(outcomes[0, 0])
    assert outcomes[1, 0] == 1.0


@pytest.mark.parametrize("row", [{"chosen": [1.0], "rejected": []}, {"chosen": [], "rejected": [1.0]}])
def test_a_row_without_a_side_is_refused(row: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="row 1 has no"):
        pairs_of(scored([{"chosen": [1.0], "rejected": [0.0]}, row]))


def test_an_infinite_score_and_an_empty_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        pairs_of(scored([{"chosen": [np.inf], "rejected": [0.0]}]))
    with pytest.raises(ValueError, match="no scored response"):
        pairs_of(scored([]))
