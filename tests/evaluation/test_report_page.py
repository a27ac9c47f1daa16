"""The page of a report: text in it stays text, what is missing is named, and the same files give the same page."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.figures import available
from evaluation.report.page import SECTIONS, render
from evaluation.report.suite_tables import suite_tables
from evaluation.visible import MOST_CHARACTERS, passage, visible
from extract.overlap import Overlap
from tests.evaluation.report_run import made_up

HOSTILE = {
    "script": "<script>document.title = 'taken'</script>",
    "the end of a style": "</style></title></textarea><script>document.title = 'taken'</script>",
    "handler": "<img src=x onerror=\"document.title = 'taken'\">",
    "attribute": "\" onmouseover=\"document.title = 'taken'\" '",
    "template": "{{ 7 * 7 }}{% include 'style.css' %}",
    "comment": "<!-- <svg onload=alert(1)> -->]]>",
    "entity": "&lt;script&gt;&#0;&amp",
    "turned around": "\u202egnihton\u2066 safe\u200f",
    "no character": "a\x00b\x07c\x1b[31md\x9b",
    "half a pair": "a\ud800b\udfffc",
    "emoji": "👩‍👩‍👧 🏴‍☠️ é\u0301\u0327",
    "formula": "$x^2$ $\\frac{1}{2}$ \\input{/etc/passwd}",
}


class Structure(HTMLParser):
    """The elements and attributes of a page, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


PLAIN = Structure(render(made_up()))


def test_the_plain_page_has_no_script_and_no_handler() -> None:
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in PLAIN.elements}
    assert not [name for _, attributes in PLAIN.elements for name in attributes if name.startswith("on")]
    headings = [tag for tag, _ in PLAIN.elements if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert headings.count("h2") == len(SECTIONS)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_text_never_becomes_an_element(text: str) -> None:
    page = render(made_up(text))
    hostile = Structure(page)
    assert hostile.elements == PLAIN.elements
    assert visible(text) in "".join(hostile.words)
    page.encode()
    assert visible(page) == page


@settings(max_examples=25)
@given(st.text(alphabet=st.characters(), min_size=1, max_size=20))
def test_no_text_changes_the_elements_of_the_page(text: str) -> None:
    page = render(made_up(text))
    assert Structure(page).elements == PLAIN.elements
    page.encode()


@given(st.text(alphabet=st.characters()))
def test_what_is_visible_can_be_written_and_is_visible(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert visible(shown) == shown
    assert len(shown) >= len(text) - text.count("\r\n")


def test_a_text_of_a_megabyte_is_cut_and_the_page_says_so() -> None:
    page = render(made_up(long="x" * 2**20))
    assert len(page) < 200_000
    assert f"{MOST_CHARACTERS:,} of 1,048,581 characters are shown" in page


def test_a_text_of_many_lines_is_cut() -> None:
    cut = passage("line\n" * 1000)
    assert cut.shown.count("\n") < 100
    assert "of 5,000 characters" in cut.cut
    assert passage("whole").cut == ""


def test_the_same_run_gives_the_same_page() -> None:
    assert render(made_up()) == render(made_up())


@pytest.mark.parametrize(
    ("lacking", "section"),
    [("ablations", "ablations"), ("ratings", "ratings"), ("scored", "examples"), ("texts", "texts")],
)
def test_what_is_missing_is_said_in_its_place(lacking: str, section: str) -> None:
    sentence = f"There is no {lacking}: run the command."
    assert sentence in render(made_up(**{lacking: None, "missing": {section: sentence}}))


def test_a_run_without_a_gate_shows_its_heads() -> None:
    missing = {name: f"No {name}." for name in ("gating", "suites", "examples")}
    page = render(made_up(gating=None, suites={}, scored=None, texts=None, missing=missing))
    for sentence in missing.values():
        assert sentence in page
    assert "there is no gate yet" in page


def test_a_run_of_which_nothing_but_features_is_there_still_has_a_page() -> None:
    names = ("heads", "gating", "ablations", "suites", "examples")
    missing = {name: f"No {name}." for name in names}
    page = render(made_up(heads=None, gating=None, ablations=None, suites={}, scored=None, texts=None, missing=missing))
    for name in names:
        assert f"No {name}." in page
    assert "nothing is fitted yet" in page


def test_published_rows_stand_apart_and_only_beside_rewardbench() -> None:
    page = render(made_up())
    ours, _, published = page.partition("Published: the whole of RewardBench")
    assert "ArmoRM-Llama3-8B-v0.1" not in ours
    assert "ArmoRM-Llama3-8B-v0.1" in published
    other = made_up()
    assert "ArmoRM-Llama3-8B-v0.1" not in render(made_up(suites={"own": other.suites["rewardbench"]}))


def test_published_figures_stand_under_their_own_sections_where_a_run_has_one_of_them() -> None:
    rewardbench = made_up().suites["rewardbench"]
    only = {name: replace(rule, sections={"Chat Hard": 0.5}) for name, rule in rewardbench.rules.items()}
    tables = suite_tables("rewardbench", replace(rewardbench, rules=only))
    assert tables.sections == ("Chat", "Chat Hard", "Safety", "Reasoning", "Prior Sets")
    assert tables.rows[0].sections == (None, 0.5, None, None, None)
    assert tables.published[0].sections == pytest.approx((0.969, 0.768, 0.922, 0.973, 0.743))


@pytest.mark.skipif(not available(), reason="matplotlib, the extra `plots`, is not installed")
@pytest.mark.parametrize("text", ["words", *HOSTILE.values()], ids=["plain", *HOSTILE])
def test_figures_are_part_of_the_page_in_its_colours(text: str) -> None:
    page = render(made_up(text, plots=True))
    elements = Structure(page).elements
    assert sum("aria-labelledby" in attributes and tag == "svg" for tag, attributes in elements) == 4
    assert "script" not in {tag for tag, _ in elements}
    assert "var(--accent)" in page
    assert "#1f5fa8;" not in page.partition("</style>")[2]
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_overlap_stands_beside_the_suites_figure_and_among_the_data() -> None:
    run, none = made_up(), Overlap(exact=0, ngram=0, rows=9, suite_rows=0)
    suite = replace(run.suites["rewardbench"], overlap={"one": {"rated": Overlap(3, 2, 9, 4)}, "two": {"rated": none}})
    page = render(replace(run, suites={"rewardbench": suite}))
    assert "Overlap: rows whose prompt also stands in a training set: rated 4." in page
    assert "Overlap of training sets with suites" in page
    assert "These rows are left out of training." in page
    without = replace(run, extract=replace(run.extract, overlap={"suite": {"rated": none}}))
    assert "Overlap: no prompt of a training set stands in a suite." in render(without)
    assert "Overlap" not in render(replace(run, extract=replace(run.extract, overlap={})))
