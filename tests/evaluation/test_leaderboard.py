"""One table of everything that judged a suite."""

from evaluation.leaderboard import columns_of, leaderboard, lines_of, markdown
from evaluation.published import PUBLISHED
from evaluation.results import RuleScore


def rule(score: float, skipped: int = 0) -> RuleScore:
    return RuleScore(score, score - 0.1, score + 0.1, {"Chat": score}, {}, {}, (), {}, skipped)


RULES = {"gate": rule(0.7), "evil|<b>": rule(0.9, skipped=3), "length": rule(0.3)}
NAMES = {"gate": ("gated objectives", "ArmoRM + MoE"), "length": ("longer response wins", "length only")}


def test_entries_are_ranked_by_score_and_published_rows_follow_without_a_rank() -> None:
    entries = leaderboard(RULES, NAMES, {"evil|<b>": "reward model"}, PUBLISHED[:1])
    assert [(entry.name, entry.kind, entry.rank) for entry in entries] == [
        ("evil|<b>", "scorer", 1),
        ("gate", "rule", 2),
        ("length", "rule", 3),
        ("ArmoRM-Llama3-8B-v0.1", "published", 0),
    ]
    published = entries[-1]
    assert round(published.score, 3) == 0.890
    assert published.low is None
    assert published.sections["Chat Hard"] == 0.768


def test_the_table_says_what_is_published_and_what_was_left_out() -> None:
    entries = leaderboard(RULES, NAMES, {"evil|<b>": "reward model"}, PUBLISHED[:1])
    assert columns_of(entries) == ["Chat", "Chat Hard", "Safety", "Reasoning", "Prior Sets"]
    lines = lines_of(entries)
    assert lines[0][:5] == ["1", "evil|<b> (without 3 rows)", "reward model", "90.0", "80.0 to 100.0"]
    assert lines[-1][:5] == ["", "published: ArmoRM-Llama3-8B-v0.1", "ArmoRM + MoE", "89.0", ""]
    assert lines[1][5:] == ["70.0", "-", "-", "-", "-"]


def test_a_name_cannot_break_the_markdown_table() -> None:
    page = markdown("A\nsuite", ["note"], leaderboard(RULES, NAMES, {"evil|<b>": "x"}))
    assert page.startswith("## A suite\n\nnote\n")
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3
    assert {line.replace("\\|", "").count("|") for line in table} == {7}
    assert "<b>" not in page.replace("\\<b\\>", "")
