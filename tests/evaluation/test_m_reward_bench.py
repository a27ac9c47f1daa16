"""M-RewardBench: RewardBench's sections in every language, and the mean over the languages."""

import numpy as np
import pytest

from evaluation.outcomes import Rows
from evaluation.suites.m_reward_bench import SUITE
from evaluation.units import resampled, totals
from tests.evaluation.lines import Row, lines_of, scored

RIGHT, WRONG = ([1.0], [0.0]), ([0.0], [1.0])


def rows_and_metadata(
    outcomes: dict[str, list[tuple[str, bool]]],
) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Language -> (subset, whether it is judged right) of rows that are translations by their number."""
    rows: list[Row] = []
    metadata = {}
    for language, judged in outcomes.items():
        for number, (subset, right) in enumerate(judged):
            name = f"{language}/{number}"
            rows.append((f"{language}/{subset}", name, *(RIGHT if right else WRONG)))
            metadata[name] = {"language": language, "id": str(number)}
    return rows, metadata


def test_a_language_is_the_mean_of_its_sections_and_the_score_the_mean_of_languages() -> None:
    # By hand. French: Chat 1, Reasoning (984 × 0 + 164 × 1) / 1148. German: Chat 0.5, no Reasoning.
    rows, metadata = rows_and_metadata(
        {
            "fra_Latn": [("alpacaeval-easy", True), ("math-prm", False), ("hep-go", True)],
            "deu_Latn": [("alpacaeval-easy", True), ("alpacaeval-easy", False)],
        }
    )
    result = scored("m_rewardbench", rows, metadata)
    reasoning = 164 / (984 + 164)
    languages = {name: figure.value for name, figure in result.extra["languages"].items()}
    assert languages == pytest.approx({"fra_Latn": (1 + reasoning) / 2, "deu_Latn": 0.5})
    assert result.score == pytest.approx(((1 + reasoning) / 2 + 0.5) / 2)
    assert result.sections == pytest.approx({"Chat": 0.75, "Reasoning": reasoning})
    over_rows = {name: figure.value for name, figure in result.extra["languages, over all rows"].items()}
    assert over_rows == pytest.approx({"fra_Latn": 2 / 3, "deu_Latn": 0.5, "mean": (2 / 3 + 0.5) / 2})


def test_translations_of_a_row_are_drawn_together() -> None:
    # Right or wrong alike in both languages: drawn together, the languages agree in every draw.
    judged = [("donotanswer", number % 3 == 0) for number in range(30)]
    lines, scores = lines_of(*rows_and_metadata({"fra_Latn": judged, "deu_Latn": judged}))
    units = SUITE.units(Rows.of(lines), scores[:, None])
    drawn = resampled(units, resamples=50)
    assert totals(units).mean("fra_Latn/donotanswer") == pytest.approx([1 / 3])
    french, german = drawn.mean("fra_Latn/donotanswer"), drawn.mean("deu_Latn/donotanswer")  # (draws, rules)
    assert french.std() > 0.02
    np.testing.assert_array_equal(french, german)
