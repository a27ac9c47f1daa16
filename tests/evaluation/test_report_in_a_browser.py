"""The page of a report in a real Chromium: quiet, self-contained, accessible, and as wide as its window."""

from pathlib import Path

import pytest

from evaluation.figures import available
from evaluation.report.page import render
from tests.browser import Browser
from tests.evaluation.report_run import made_up
from tests.evaluation.test_report_page import HOSTILE

LONG = "a name without any place to break it " + "x" * 300


@pytest.fixture(params=["words", "".join(HOSTILE.values()) + LONG], ids=["plain", "hostile"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A report on the disk, with its figures."""
    path = tmp_path / "report.html"
    path.write_text(render(made_up(request.param, plots=available())), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_quiet_fits_its_window_and_is_accessible(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    browser.listen()
    assert browser.console == []
    assert browser.requests == [page.as_uri()]
    assert browser.overflow == 0
    assert browser.run("return document.scripts.length") == 0
    assert "report of a reward model" in browser.driver.title
    assert browser.violations() == []


def test_colours_follow_the_reader_and_paper_is_white(browser: Browser, page: Path) -> None:
    colours = {}
    for dark in (False, True):
        browser.open(page, dark=dark)
        colours[dark] = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert colours == {False: "rgb(255, 255, 255)", True: "rgb(18, 22, 28)"}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run(
        "const closed = [...document.querySelectorAll('details:not([open])')];"
        "const shown = {contentVisibilityAuto: true};"
        "return closed.length > 0 && closed.every(details => details.lastElementChild.checkVisibility(shown))"
    ), "what is folded up is printed"
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_sections_are_reached_by_keyboard_and_by_link(browser: Browser, page: Path) -> None:
    browser.open(page, reduced_motion=True)
    targets = browser.run("return [...document.querySelectorAll('nav a')].map(link => link.hash.slice(1))")
    assert len(targets) == 9
    assert browser.run("return arguments[0].every(id => document.getElementById(id).tagName === 'SECTION')", targets)
    assert browser.run("return getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    browser.driver.switch_to.active_element.send_keys("\ue004")  # the tabulator
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
