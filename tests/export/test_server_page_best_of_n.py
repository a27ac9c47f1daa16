"""Up to eight answers on the page: ranked by score, and those that are not beaten at two objectives at once."""

from collections.abc import Iterator

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from export.folder import Exported, write_folder
from export.reward_config import run_config
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.settings import BackboneSettings
from gating.reward import Scored
from tests.browser import Browser
from tests.conftest import TINY
from tests.export.conftest import random_parts
from tests.export.server_thread import listening
from tests.export.test_server_page import HOSTILE, number, score, text, unseen, wait
from tests.export.test_server_page_steering import settled, slider
from tests.export.uncertain import PROMPT

ANSWERS = (
    "Mix flour, water, salt and yeast, let it rise, and bake it for 40 minutes.",
    "No.",
    "Buy it; baking bread at home takes hours.",
    "Combine 500 g of flour with 350 g of water, salt and yeast. Knead it for ten minutes, and let it rise.",
    "I do not know how to bake bread, sorry.",
    "Bread is baked in an oven at 230 degrees.",
    "Ask your grandmother.",
    "Yes!",
)


@pytest.fixture(scope="module")
def address(steerable: RewardModel) -> Iterator[str]:
    with listening(steerable) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def empty(browser: Browser, address: str) -> Browser:
    browser.open(address, reduced_motion=True)
    return browser


def fill_all(page: Browser, prompt: str, *answers: str) -> None:
    """Add fields until there are as many as answers, and fill them in."""
    while len(fields(page)) < len(answers):
        page.driver.find_element(By.ID, "add").click()
    for field, answer in zip(
        [page.driver.find_element(By.ID, "prompt"), *fields(page)], (prompt, *answers), strict=True
    ):
        page.run("arguments[0].value = arguments[1]", field, answer)


def fields(page: Browser) -> list[WebElement]:
    return page.driver.find_elements(By.CSS_SELECTOR, ".answers textarea")


def cells(page: Browser, table: str) -> list[list[str]]:
    """Texts of the cells of a table's body."""
    rows = page.run(
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))",
        table,
    )
    return list(rows)


def expected(model: RewardModel, *answers: str) -> list[Scored]:
    """The class's own scores."""
    return model.score(
        [[{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}] for answer in answers]
    )


def test_eight_answers_are_ranked_by_score(empty: Browser, steerable: RewardModel) -> None:
    page = empty
    fill_all(page, PROMPT, *ANSWERS)
    assert not page.driver.find_element(By.ID, "add").is_enabled()
    assert text(page, "score") == "Score all 8"
    score(page)
    scored = expected(steerable, *ANSWERS)
    best = sorted(range(8), key=lambda place: -scored[place].score)
    rows = cells(page, "ranking")
    assert [row[0] for row in rows] == [str(rank) for rank in range(1, 9)]
    assert [row[1].split()[0] for row in rows] == ["ABCDEFGH"[place] for place in best]
    for row, place in zip(rows, best, strict=True):
        told, _, std = row[3].partition("±")
        known = scored[place].uncertainty
        assert known is not None
        assert number(told.strip()) == pytest.approx(scored[place].score, abs=2e-3)
        assert float(std) == pytest.approx(known.score_std, rel=1e-2, abs=2e-3)
        assert ("unlike the rated responses" in row[1]) == known.unfamiliar
    assert text(page, "verdict").startswith(f"Answer {'ABCDEFGH'[best[0]]} scores highest, by ")
    sides = [Select(page.driver.find_element(By.ID, name)).first_selected_option.text for name in ("side-a", "side-b")]
    assert sides == ["ABCDEFGH"[place] for place in best[:2]]


def test_any_two_of_them_are_compared(empty: Browser, steerable: RewardModel) -> None:
    page = empty
    fill_all(page, PROMPT, *ANSWERS[:4])
    score(page)
    scored = expected(steerable, *ANSWERS[:4])
    for name, letter in (("side-a", "D"), ("side-b", "B")):
        Select(page.driver.find_element(By.ID, name)).select_by_visible_text(letter)
    assert text(page, "head-difference") == "D − B"
    for name, place in (("sum-a", 3), ("sum-b", 1)):
        assert number(text(page, name).split()[0]) == pytest.approx(scored[place].score, abs=2e-3)
    Select(page.driver.find_element(By.ID, "side-b")).select_by_visible_text("D")  # then they change places
    assert text(page, "head-difference") == "B − D"


def not_beaten(points: np.ndarray, senses: tuple[int, int] = (1, 1)) -> list[int]:
    """Pareto front by its definition: points (n, 2) that no other one is as good as at both, and better at one."""
    good = points * np.asarray(senses)
    return [
        place
        for place, point in enumerate(good)
        if not any((other >= point).all() and (other > point).any() for other in good)
    ]


def test_the_front_is_that_of_its_definition(empty: Browser) -> None:
    rng = np.random.default_rng(3)
    cases = [(rng.integers(0, 4, (size, 2)).tolist(), [int(s) for s in rng.choice([-1, 1], 2)]) for size in range(1, 9)]
    cases += [(rng.standard_normal((8, 2)).tolist(), [1, -1]), ([[1.0, 1.0]] * 3, [1, 1])]
    told = empty.driver.execute_async_script(
        "const [cases, done] = arguments;"
        " import('/front.js').then(({beaten}) => done(cases.map(([points, senses]) => beaten(points, senses))))",
        cases,
    )
    for (points, senses), beaten in zip(cases, told, strict=True):
        front = not_beaten(np.asarray(points), (senses[0], senses[1]))
        assert [place for place, by in enumerate(beaten) if not by] == front


def front_letters(page: Browser) -> list[str]:
    return [row[0].strip() for row in cells(page, "front") if row[1] == "none"]


def test_answers_on_the_front_are_named_and_drawn_as_diamonds(empty: Browser, steerable: RewardModel) -> None:
    page = empty
    fill_all(page, PROMPT, *ANSWERS)
    score(page)
    scored = expected(steerable, *ANSWERS)
    axes = ("helpsteer-coherence", "code-style")
    for name, objective in zip("xy", axes, strict=True):
        Select(page.driver.find_element(By.ID, name)).select_by_visible_text(objective)
    places = [steerable.objectives.index(name) for name in axes]
    points = np.array([[one.rewards[place] for place in places] for one in scored])
    front = ["ABCDEFGH"[place] for place in not_beaten(points)]
    assert front_letters(page) == front
    assert f"{front[0]}" in text(page, "front-told")
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#scatter path.point.front")) == len(front)
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#scatter circle.point")) == 8 - len(front)
    letters = [each.text for each in page.driver.find_elements(By.CSS_SELECTOR, "#scatter .point-letter")]
    assert letters == list("ABCDEFGH")

    slider(page, axes[0]).send_keys(Keys.HOME)  # a negative weight: less is better
    settled(page)
    turned = ["ABCDEFGH"[place] for place in not_beaten(points, (-1, 1))]
    assert front_letters(page) == turned
    assert turned != front
    assert "less of helpsteer-coherence" in text(page, "front-told")


def test_the_ranking_follows_the_sliders(empty: Browser, steerable: RewardModel) -> None:
    page = empty
    fill_all(page, PROMPT, *ANSWERS[:5])
    score(page)
    weights = {"beavertails-is_safe": -2.0}
    slider(page, "beavertails-is_safe").send_keys(Keys.HOME)
    settled(page)
    scored = [
        steerable.score(
            [[{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}]],
            weights=weights,
            mode="multiply",
        )[0].score
        for answer in ANSWERS[:5]
    ]
    best = sorted(range(5), key=lambda place: -scored[place])
    assert [row[1].split()[0] for row in cells(page, "ranking")] == ["ABCDE"[place] for place in best]


def test_answers_are_removed_and_two_stay(empty: Browser) -> None:
    page = empty
    fill_all(page, PROMPT, *ANSWERS[:3])
    assert not page.driver.find_element(By.ID, "swap").is_displayed()
    score(page)
    page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Remove answer B"]').send_keys(Keys.ENTER)
    assert [field.get_property("value") for field in fields(page)] == [ANSWERS[0], ANSWERS[2]]
    assert page.driver.switch_to.active_element == fields(page)[1]
    assert not page.driver.find_element(By.ID, "result").is_displayed()  # its letters mean other texts
    assert page.driver.find_elements(By.CLASS_NAME, "remove") == []
    score(page)
    assert page.driver.find_element(By.ID, "totals").is_displayed()
    assert not page.driver.find_element(By.ID, "ranking").is_displayed()
    assert not page.driver.find_element(By.ID, "front-section").is_displayed()


def test_one_that_has_no_score_does_not_hinder_the_others(empty: Browser, steerable: RewardModel) -> None:
    special = steerable._encoder.tokenizer.eos_token
    fill_all(empty, PROMPT, ANSWERS[0], f"before {special} behind", *ANSWERS[1:3])
    score(empty)
    last = cells(empty, "ranking")[-1]
    assert last[0] == "–"
    assert last[1].startswith("B ")
    assert last[2] == f"No score: the response spells the special token {special}."
    assert len(cells(empty, "front")) == 3
    fill_all(empty, PROMPT, ANSWERS[0], " ", *ANSWERS[1:3])
    score(empty)
    assert text(empty, "status") == "Fill in the prompt and every answer, or remove the empty ones."


def test_it_is_used_with_the_keyboard_alone(empty: Browser) -> None:
    page = empty
    keys = page.driver.switch_to.active_element
    for typed in (PROMPT, *ANSWERS[:2]):
        keys.send_keys(Keys.TAB)
        keys = page.driver.switch_to.active_element
        keys.send_keys(typed)
    for _ in range(2):  # to the button that adds an answer
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.driver.switch_to.active_element.send_keys(ANSWERS[2], Keys.CONTROL + Keys.ENTER)
    wait(page)
    assert text(page, "verdict").startswith("Answer ")
    seen = set()
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen.add(page.run("const on = document.activeElement; return on.id || on.getAttribute('aria-label') || ''"))
    assert {"side-a", "side-b", "order", "profile", "mode", "renormalise", "x", "y"} <= seen
    assert len([name for name in seen if name.startswith("Weight of ")]) == len(cells(page, "chart"))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read_by_everybody(browser: Browser, address: str, width: int, dark: bool) -> None:
    browser.open(address, width=width, dark=dark, reduced_motion=True)
    fill_all(browser, PROMPT, *ANSWERS)
    score(browser)
    slider(browser, "code-style").send_keys(Keys.END)
    settled(browser)
    browser.run("document.querySelector('details').open = true")
    assert unseen(browser) == []
    assert browser.overflow == 0
    assert browser.violations() == []
    browser.listen()
    assert browser.console == []


HOSTILE_ANSWERS = (
    HOSTILE,
    "\u05e9\u05dc\u05d5\u05dd \u202e" * 20,
    "w" * 1500,
    "a\u0301\u0302\u0303" * 200,
    "<b>bold</b>",
)


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_answers_are_texts(browser: Browser, address: str, width: int) -> None:
    browser.open(address, width=width, reduced_motion=True)
    fill_all(browser, PROMPT, *HOSTILE_ANSWERS)
    score(browser)
    assert text(browser, "status").startswith("Scored in ")
    assert browser.overflow == 0
    assert browser.driver.title == "Answers, objective by objective"
    assert browser.run("return document.querySelectorAll('img, main b b, bdi b').length") == 0
    assert "<b>bold</b>" in text(browser, "ranking")
    browser.listen()
    assert browser.console == []


def test_a_word_of_a_hundred_kilobytes_is_told_to_be_too_long(empty: Browser) -> None:
    fill_all(empty, PROMPT, "w" * 100_000, *ANSWERS[1:3])
    score(empty)
    assert cells(empty, "ranking")[-1][2].startswith("No score: ")
    assert len(cells(empty, "ranking")[-1][1]) < 200
    assert empty.overflow == 0


@pytest.fixture(scope="module")
def many_objectives(tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    """A model with five hundred objectives, whose names are as long as names are, and markup."""
    settings = BackboneSettings.model_validate({"model": str(TINY), "dtype": "float32", "max_tokens": 512})
    backbone = find_backbone(settings)
    names = tuple(f"<b>{number:03d}</b>{'w-' * (number % 97)}\u05e9\u05dc" for number in range(500))
    parts = random_parts(len(settings.layers) * backbone.hidden_size, "none", objectives=names)
    folder = tmp_path_factory.mktemp("many") / ("model" * 40)
    write_folder(folder, Exported(backbone, run_config(parts, {}, settings, backbone), parts, {}, "card"), "link")
    return RewardModel.load(folder, device="cpu")


@pytest.mark.parametrize("width", [360, 1280])
def test_five_hundred_objectives_with_long_names_fit(
    browser: Browser, many_objectives: RewardModel, width: int
) -> None:
    with listening(many_objectives) as port:
        browser.open(f"http://127.0.0.1:{port}/", width=width, reduced_motion=True)
        fill_all(browser, PROMPT, *ANSWERS[:3])
        score(browser)
        range_ = browser.driver.find_elements(By.CSS_SELECTOR, ".track input")[250]
        name = str(range_.get_attribute("aria-label")).removeprefix("Weight of ")
        range_.send_keys(Keys.END)
        settled(browser)
        shown = number(text(browser, "sum-a"))
        letter = text(browser, "head-a")
        scored = many_objectives.score(
            [[{"role": "user", "content": PROMPT}, {"role": "assistant", "content": ANSWERS["ABC".index(letter)]}]],
            weights={name: 4.0},
            mode="multiply",
        )
        assert shown == pytest.approx(scored[0].score, abs=2e-3)
        assert browser.overflow == 0
        assert browser.run("return document.querySelectorAll('bdi b, option b').length") == 0
        browser.listen()
        assert browser.console == []
