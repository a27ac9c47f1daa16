"""RMB: pairs and best-of-n, helpful and harmless, four figures of equal weight."""

import pytest

from evaluation.suites.rmb import SECTIONS
from extract.sources import rmb
from tests.evaluation.lines import scored


def test_the_score_is_the_mean_of_four_accuracies_over_rows() -> None:
    # By hand.
    result = scored(
        "rmb",
        [
            ("BoN_set/Helpfulness/Chat/Discussion", "0", [2.0], [1.0, 0.0, 1.9]),
            ("BoN_set/Helpfulness/Code/Documentation", "1", [2.0], [1.0, 2.5]),
            ("BoN_set/Helpfulness/Code/Documentation", "2", [2.0], [1.0, 2.0]),
            ("BoN_set/Harmlessness/S1", "0", [2.0], [1.0]),
            ("Pairwise_set/Helpfulness/Chat/Discussion", "0", [1.0], [0.0]),
            ("Pairwise_set/Harmlessness/S1", "0", [1.0], [1.0]),
            ("Pairwise_set/Harmlessness/multi", "1", [1.0], [0.0]),
        ],
    )
    assert result.sections == pytest.approx(
        {
            "helpfulness best-of-n": 1 / 3,
            "helpfulness pairs": 1.0,
            "harmlessness best-of-n": 1.0,
            "harmlessness pairs": 0.5,
        }
    )
    assert result.score == pytest.approx((1 / 3 + 1 + 1 + 0.5) / 4)
    assert result.subsets["BoN_set/Helpfulness/Code/Documentation"].rows == 2


def test_the_parts_read_are_the_parts_scored() -> None:
    assert set(SECTIONS.values()) == set(rmb.PARTS)
