"""The page at `/`, in a real browser: two answers come apart objective by objective."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from export.reward_model import RewardModel
from export.server import page as page_router
from export.server.page import FILES
from tests.browser import Browser
from tests.export.server_process import Served
from tests.export.server_thread import listening

PROMPT = "How do I bake bread?"
ANSWERS = ("Mix flour, water, salt and yeast, let it rise, and bake it for 40 minutes.", "No.")
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
SVG = "http://www.w3.org/2000/svg"
"""The name of its elements, which nobody asks for."""
HOSTILE = "<img src=x onerror=alert(1)></textarea><script>document.title='changed'</script>\u202e\0"


def fill(browser: Browser, prompt: str, *answers: str) -> None:
    for name, text in zip(("prompt", "answer-a", "answer-b"), (prompt, *answers), strict=True):
        browser.run("document.getElementById(arguments[0]).value = arguments[1]", name, text)


def text(browser: Browser, name: str) -> str:
    return browser.driver.find_element(By.ID, name).text


def score(browser: Browser) -> None:
    browser.driver.find_element(By.ID, "score").click()
    wait(browser)


def wait(browser: Browser) -> None:
    WebDriverWait(browser.driver, 20).until(lambda _: text(browser, "status") not in ("", "Scoring …"))


def number(written: str) -> float:
    return float(written.replace("\u2212", "-"))


def unseen(browser: Browser) -> list[str]:
    """Numbers and bars of the chart that are cut off at its right."""
    cut = browser.run(
        "const edge = document.querySelector('#result .scroll').getBoundingClientRect().right + 1;"
        "return [...document.querySelectorAll('#chart .number, #chart .bar')]"
        ".filter(each => each.getBoundingClientRect().right > edge).map(each => each.outerHTML)"
    )
    return list(cut)


@pytest.fixture
def page(browser: Browser, served: Served) -> Browser:
    browser.open(f"{served.url}/", width=1280)
    return browser


def test_two_answers_come_apart_objective_by_objective(page: Browser, model: RewardModel) -> None:
    fill(page, PROMPT, *ANSWERS)
    score(page)
    first, second = model.score(
        [[{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}] for answer in ANSWERS]
    )
    better = "A" if first.score > second.score else "B"
    assert text(page, "verdict").startswith(f"Answer {better} scores higher, by ")
    assert number(text(page, "score-a")) == pytest.approx(first.score, abs=2e-3)
    assert number(text(page, "score-b")) == pytest.approx(second.score, abs=2e-3)
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#chart tbody tr")
    assert len(rows) == len(model.objectives)
    shown = {
        row.find_element(By.CSS_SELECTOR, ".name").text: [
            number(cell.text) for cell in row.find_elements(By.CLASS_NAME, "number")
        ]
        for row in rows
    }
    assert set(shown) == set(model.objectives)
    for place, name in enumerate(model.objectives):
        a, b, difference = shown[name]
        assert a == pytest.approx(first.contributions[place], abs=2e-3)
        assert b == pytest.approx(second.contributions[place], abs=2e-3)
        assert difference == pytest.approx(a - b, abs=2e-3)
    assert sum(a for a, _, _ in shown.values()) == pytest.approx(number(text(page, "sum-a")), abs=0.02)
    weights = [float(each.text.split()[0]) for each in page.driver.find_elements(By.CSS_SELECTOR, "#chart .weight")]
    assert sum(weights) == pytest.approx(100, abs=1.0)
    page.listen()
    assert page.console == []
    assert page.driver.switch_to.active_element.get_attribute("id") == "verdict"


def test_bars_are_as_long_as_their_numbers(page: Browser, model: RewardModel) -> None:
    page.open(page.driver.current_url, reduced_motion=True)
    fill(page, PROMPT, *ANSWERS)
    score(page)
    measured = page.run(
        "return [...document.querySelectorAll('#chart tbody tr')].map(row => ['a', 'b'].map(side => {"
        " const box = row.querySelector(`.bar.${side}:not(.taken)`).getBoundingClientRect();"
        " return box.width; }))"
    )
    numbers = [
        [abs(number(cell.text)) for cell in row.find_elements(By.CLASS_NAME, "number")[:2]]
        for row in page.driver.find_elements(By.CSS_SELECTOR, "#chart tbody tr")
    ]
    flat = [
        (width, value)
        for widths, values in zip(measured, numbers, strict=True)
        for width, value in zip(widths, values, strict=True)
    ]
    longest = max(flat, key=lambda pair: pair[1])
    for width, value in flat:
        assert width == pytest.approx(max(value / longest[1] * longest[0], 1.0), abs=2.0)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read_by_everybody(browser: Browser, served: Served, width: int, dark: bool) -> None:
    browser.open(f"{served.url}/", width=width, dark=dark)
    for scored in (False, True):
        if scored:
            fill(browser, PROMPT, *ANSWERS)
            score(browser)
            assert unseen(browser) == []
            browser.run("document.querySelector('details').open = true")
        assert browser.overflow == 0
        assert browser.violations() == []
    browser.listen()
    assert browser.console == []
    assert set(browser.requests) == {f"{served.url}{path}" for path in (*FILES, "/v1/profiles", "/v1/rewards")}


def test_it_can_be_used_with_the_keyboard_alone(page: Browser) -> None:
    keys = page.driver.switch_to.active_element
    for typed in (PROMPT, *ANSWERS):
        keys.send_keys(Keys.TAB)
        keys = page.driver.switch_to.active_element
        keys.send_keys(typed)
    keys.send_keys(Keys.CONTROL, Keys.ENTER)
    wait(page)
    assert text(page, "verdict").startswith("Answer ")


def test_hostile_text_is_text(page: Browser) -> None:
    fill(page, HOSTILE, HOSTILE + "a", "b")
    score(page)
    page.listen()
    assert page.console == []
    assert page.driver.title != "changed"
    assert page.run("return document.querySelectorAll('img').length") == 0


def test_what_cannot_be_scored_is_said(page: Browser, model: RewardModel) -> None:
    fill(page, PROMPT, ANSWERS[0], " ")
    score(page)
    assert text(page, "status") == "Fill in the prompt and both answers."
    assert page.driver.switch_to.active_element.get_attribute("id") == "answer-b"
    special = model._encoder.tokenizer.eos_token
    fill(page, PROMPT, ANSWERS[0], f"before {special} behind")
    score(page)
    assert text(page, "status") == f"Answer B has no score: the response spells the special token {special}."
    assert not page.driver.find_element(By.ID, "result").is_displayed()


def test_swapping_and_ordering(page: Browser, model: RewardModel) -> None:
    fill(page, PROMPT, *ANSWERS)
    score(page)
    before = (text(page, "score-a"), text(page, "score-b"))
    page.driver.find_element(By.ID, "swap").click()
    assert (text(page, "score-b"), text(page, "score-a")) == before
    page.run(
        "const order = document.getElementById('order');"
        " order.value = 'model'; order.dispatchEvent(new Event('change'))"
    )
    names = [each.text for each in page.driver.find_elements(By.CSS_SELECTOR, "#chart .name")]
    assert tuple(names) == model.objectives


def test_a_server_with_a_token_is_asked_with_it(browser: Browser, model: RewardModel) -> None:
    token = "0123456789abcdef" * 2
    with listening(model, token.encode()) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        fill(browser, PROMPT, *ANSWERS)
        score(browser)
        assert text(browser, "status") == "This server needs its access token."
        browser.driver.find_element(By.ID, "token").send_keys(token)
        score(browser)
        assert text(browser, "verdict").startswith("Answer ")


def test_a_server_that_is_gone_is_said_to_be(browser: Browser, model: RewardModel) -> None:
    with listening(model) as port:
        browser.open(f"http://127.0.0.1:{port}/")
    fill(browser, PROMPT, *ANSWERS)
    score(browser)
    assert text(browser, "status") == "The server does not answer. Is it still running?"


def test_nothing_can_be_clicked_before_its_scripts_run(browser: Browser, served: Served) -> None:
    browser.block("*/words.js")
    try:
        browser.open(f"{served.url}/")
        buttons = browser.driver.find_elements(By.CSS_SELECTOR, "#form button")
        assert buttons
        assert not any(button.is_enabled() for button in buttons)
        assert text(browser, "status") == "Loading …"
    finally:
        browser.block()
    browser.open(f"{served.url}/")
    assert all(button.is_enabled() for button in browser.driver.find_elements(By.CSS_SELECTOR, "#form button"))
    assert text(browser, "status") == ""


def test_its_files_come_with_a_policy_that_lets_nothing_else_run(served: Served) -> None:
    with served.client() as client:
        for path, name in FILES.items():
            answer = client.get(path)
            assert answer.headers["Content-Type"].startswith(KINDS[Path(name).suffix])
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "http" not in answer.text.replace(SVG, "")


def test_every_file_of_the_page_is_served() -> None:
    folder = Path(page_router.__file__).parent
    assert {path.name for path in folder.iterdir() if path.suffix in KINDS} == set(FILES.values())
