"""M-RewardBench: RewardBench's sections in every language, and the mean over the languages."""

import numpy as np
import pytest

from evaluation.outcomes import Rows
from evaluation.suites.m_reward_bench import SECTIONS, SUITE
from evaluation.units import resampled, totals
from extract.sources.reward_bench import SUBSETS
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
    # By hand. French: Chat 1, Reasoning (983 × 0 + 164 × 1) / 1147. German: Chat 0.5, no Reasoning.
    rows, metadata = rows_and_metadata(
        {
            "fra_Latn": [("alpacaeval-easy", True), ("math-prm", False), ("hep-go", True)],
            "deu_Latn": [("alpacaeval-easy", True), ("alpacaeval-easy", False)],
        }
    )
    result = scored("m_rewardbench", rows, metadata)
    reasoning = 164 / (983 + 164)
    languages = {name: figure.value for name, figure in result.extra["languages"].items()}
    assert languages == pytest.approx({"fra_Latn": (1 + reasoning) / 2, "deu_Latn": 0.5})
    assert result.score == pytest.approx(((1 + reasoning) / 2 + 0.5) / 2)
    assert result.sections == pytest.approx({"Chat": 0.75, "Reasoning": reasoning})


def test_the_languages_by_the_weights_of_reward_bench_are_a_table_of_their_own() -> None:
    # LLMBar natural has 76 rows in a language and 100 in RewardBench, GPTOut 42 and 47.
    judged = [("llmbar-natural", True), ("llmbar-adver-GPTOut", False)]
    result = scored("m_rewardbench", *rows_and_metadata({"fra_Latn": judged}))
    other = {name: figure.value for name, figure in result.extra["languages, by RewardBench's weights"].items()}
    assert result.score == pytest.approx(76 / (76 + 42))
    assert other == pytest.approx(dict.fromkeys(("fra_Latn", "mean"), 100 / (100 + 47)))


def test_the_weights_are_the_rows_of_a_language_and_cover_the_subsets_of_reward_bench() -> None:
    rows = {subset: weight for subsets in SECTIONS.values() for subset, weight in subsets.items()} | {"math-prm": 447}
    assert sum(rows.values()) == 2869
    assert set(rows) == set(SUBSETS)


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
