"""The page shows how sure each number is, as a whisker and in words, and marks answers unlike the rated ones."""

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from export.reward_model import RewardModel
from tests.browser import Browser
from tests.export.server_process import Served
from tests.export.server_thread import listening
from tests.export.test_server_page import fill, number, score, text, unseen
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR


@pytest.fixture(scope="module")
def address(uncertain: RewardModel) -> Iterator[str]:
    with listening(uncertain) as port:
        yield f"http://127.0.0.1:{port}/"


def scored_page(browser: Browser, address: str, *answers: str, **settings: Any) -> Browser:
    browser.open(address, reduced_motion=True, **settings)
    fill(browser, PROMPT, *answers)
    score(browser)
    return browser


def test_numbers_come_with_their_standard_errors(browser: Browser, address: str, uncertain: RewardModel) -> None:
    page = scored_page(browser, address, *ANSWERS)
    expected = [scored.uncertainty for scored in uncertain.score([FAMILIAR, UNFAMILIAR])]
    for side, place, known in zip("ab", (0, 1), expected, strict=True):
        assert known is not None
        assert number(text(page, f"std-{side}").removeprefix("± ")) == pytest.approx(known.score_std, abs=1e-3)
        cells = {
            row.find_element(By.CSS_SELECTOR, ".name").text: row.find_elements(By.CLASS_NAME, "number")[place].text
            for row in page.driver.find_elements(By.CSS_SELECTOR, "#chart tbody tr")
        }
        told = [float(cells[name].partition("±")[2]) for name in uncertain.objectives]
        assert told == pytest.approx(known.contribution_std.tolist(), abs=1e-3)
    assert "one standard error" in page.driver.find_element(By.CLASS_NAME, "legend").text


def test_whiskers_are_as_long_as_two_standard_errors(browser: Browser, address: str) -> None:
    page = scored_page(browser, address, *ANSWERS)
    drawn = page.run(
        "return [...document.querySelectorAll('#chart tbody tr')].flatMap((row) => ['a', 'b'].map((side) => {"
        " const whisker = row.querySelector(`.whisker.${side}`)?.getBoundingClientRect();"
        " const bar = row.querySelector(`.bar.${side}:not(.taken)`).getBoundingClientRect();"
        " const cell = row.querySelector(`.${side}-number`).textContent;"
        " const sign = cell.startsWith('\\u2212');"
        " return whisker && [whisker.width, (whisker.left + whisker.right) / 2 - (sign ? bar.left : bar.right),"
        " Number(cell.split('±')[1])]; }))"
    )
    seen = [each for each in drawn if each is not None]
    assert len(seen) > 10
    longest = max(seen)
    for width, off_the_end, std in seen:
        assert width == pytest.approx(std / longest[2] * longest[0], abs=2.0)
        assert abs(off_the_end) <= 1.5  # a bar is one pixel wide at least


def test_an_answer_unlike_the_rated_ones_is_marked_in_words(browser: Browser, address: str) -> None:
    page = scored_page(browser, address, *ANSWERS)
    marks = {side: page.driver.find_element(By.ID, f"unlike-{side}") for side in "ab"}
    assert (marks["a"].is_displayed(), marks["b"].is_displayed()) == (False, True)
    assert marks["b"].text == "unlike the rated responses"
    sentence = text(page, "unlike")
    assert sentence.startswith("Answer B is unlike the rated responses: ")
    assert marks["b"].get_attribute("title") == sentence
    page.driver.find_element(By.ID, "swap").click()
    assert text(page, "unlike").startswith("Answer A is unlike")
    scored_page(page, address, ANSWERS[1], ANSWERS[1])
    assert text(page, "unlike").startswith("Both answers are unlike")
    scored_page(page, address, ANSWERS[0], ANSWERS[0])
    assert not page.driver.find_element(By.ID, "unlike").is_displayed()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read_by_everybody(browser: Browser, address: str, width: int, dark: bool) -> None:
    page = scored_page(browser, address, *ANSWERS, width=width, dark=dark)
    page.run("document.querySelector('details').open = true")
    assert unseen(page) == []
    assert page.overflow == 0
    assert page.violations() == []
    page.listen()
    assert page.console == []


def columns(page: Browser) -> set[int]:
    """Numbers of columns of the rows of the table of all terms; the second row lies under cells of the first."""
    page.run("document.querySelector('details').open = true")
    return set(
        page.run(
            "return [...document.querySelectorAll('#terms tr')].map((row) => [...row.cells]"
            ".filter((cell) => !cell.hidden).reduce((sum, cell) => sum + cell.colSpan, 0))"
        )
    )


def test_the_table_of_all_terms_has_errors_and_distances(browser: Browser, address: str) -> None:
    page = scored_page(browser, address, *ANSWERS)
    assert columns(page) == {10, 8}
    row = page.driver.find_element(By.CSS_SELECTOR, "#terms tbody tr")
    cells = [cell.text for cell in row.find_elements(By.CLASS_NAME, "number")]
    assert ["±" in cell for cell in cells] == [False, *([True, False, True, False] * 2)]
    assert cells[4].endswith(" %")
    assert cells[8] == "100 %"


def test_a_reward_has_the_interval_of_its_ratings(browser: Browser, address: str, uncertain: RewardModel) -> None:
    page = scored_page(browser, address, *ANSWERS)
    page.run("document.querySelector('details').open = true")
    assert "between which 90 % of raters' ratings are expected" in page.driver.find_element(By.ID, "intervals").text
    (scored, _) = uncertain.score([FAMILIAR, UNFAMILIAR])
    assert scored.intervals is not None
    known = dict(zip(uncertain.objectives, scored.intervals.pairs(), strict=True))
    for row in page.driver.find_elements(By.CSS_SELECTOR, "#terms tbody tr"):
        ends = known[row.find_element(By.CSS_SELECTOR, ".name").text]
        found = row.find_elements(By.CLASS_NAME, "number")[1].find_elements(By.CSS_SELECTOR, "[title]")
        assert len(found) == (ends is not None)
        if ends is not None:
            told = [number(end) for end in found[0].text.split(" to ")]
            assert told == pytest.approx(ends, abs=6e-3)
            assert (
                found[0].get_attribute("title") == f"90 % of ratings between {found[0].text.replace(' to ', ' and ')}"
            )


def test_a_model_that_does_not_know_shows_nothing_of_it(browser: Browser, served: Served) -> None:
    page = scored_page(browser, f"{served.url}/", *ANSWERS)
    page.run("document.querySelector('details').open = true")
    assert "±" not in page.driver.find_element(By.TAG_NAME, "main").text
    assert page.driver.find_elements(By.CLASS_NAME, "whisker") == []
    assert not page.driver.find_element(By.ID, "unlike").is_displayed()
    assert not page.driver.find_element(By.ID, "intervals").is_displayed()
    assert columns(page) == {8, 6}
