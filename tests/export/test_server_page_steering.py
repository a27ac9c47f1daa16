"""Sliders on the page: the weights move, and bars, scores and verdict with them, as the server would have them."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from export.reward_model import RewardModel
from export.server.protocols.profiles import ProfilesResponse, _told
from export.server.protocols.rewards import _reward
from gating.profile import Mode, Profile, Vetoes, read_profile
from gating.reward import Scored
from gating.steering import Steering, steer
from tests.browser import Browser
from tests.export.server_thread import listening
from tests.export.steering_profiles import CAREFUL, PROFILES
from tests.export.test_server_page import fill, number, score, text
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR

STEER = """
const [given, done] = arguments;
const modules = ["steering", "weighting", "profile"].map((name) => import(`/${name}.js`));
Promise.all(modules).then(([steering, state, texts]) => {
  state.offer(given.profiles);
  done(given.profiles.profiles.map(({ profile }) => {
    const list = document.getElementById("profile");
    list.value = profile.name;
    list.dispatchEvent(new Event("change"));
    return {
      steered: given.rewards.map((reward) => steering.steered(reward, state.weighting)),
      toml: texts.toml(texts.profileOf(state.weighting, profile.name)),
    };
  }));
});
"""
"""Steer rewards by each of some profiles, with the page's own modules; and write the profiles again."""


@pytest.fixture(scope="module")
def address(steerable: RewardModel) -> Iterator[str]:
    with listening(steerable) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(browser: Browser, address: str) -> Browser:
    browser.open(address, reduced_motion=True)
    fill(browser, PROMPT, *ANSWERS)
    score(browser)
    return browser


def random_profile(rng: np.random.Generator, objectives: tuple[str, ...], name: str) -> Profile:
    """Weights of either sign over several orders of magnitude, of some objectives or of all."""
    count = int(rng.integers(1, len(objectives) + 1))
    chosen = [objectives[place] for place in rng.permutation(len(objectives))[:count]]
    sizes = rng.choice([0.0, 1.0], count, p=[0.1, 0.9]) * 10 ** rng.uniform(-3, 2, count) * rng.choice([-1, 1], count)
    weights = {key: float(size) for key, size in zip(chosen, sizes.round(6), strict=True)} | {objectives[0]: 0.25}
    renormalise = (None, True, False)[rng.integers(3)]
    low, cap = float(rng.uniform(-3, 3)), float(rng.uniform(-3, 3))
    vetoes = Vetoes(below={chosen[0]: low}, cap=cap, unit="reward") if rng.random() < 0.4 else None
    mode: list[Mode | None] = ["add", "multiply", "replace", None]
    kind = int(rng.integers(5))
    if kind == 4:
        return Profile(name=name, direction=weights, renormalise=renormalise, vetoes=vetoes)
    return Profile(name=name, mode=mode[kind], weights=weights, renormalise=renormalise, vetoes=vetoes)


def without_weight(scored: Scored, place: int) -> Scored:
    """The score if the gate gave an objective exactly nothing, as a float32 softmax may."""
    weights = scored.weights.copy()
    weights[place] = 0.0
    kept = weights.astype(np.float64)
    gains, penalties = kept * scored.rewards, kept * (scored.rewards - scored.adjusted)
    return replace(scored, weights=weights, gains=gains, penalties=penalties, contributions=gains - penalties)


def test_the_page_computes_what_the_server_would(page: Browser, steerable: RewardModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    objectives = steerable.objectives
    profiles = [*PROFILES, *(random_profile(rng, objectives, f"random-{number}") for number in range(60))]
    bound = [Steering.of(profile, objectives, steerable.config.scales) for profile in profiles]
    familiar, unfamiliar = steerable.score([FAMILIAR, UNFAMILIAR])
    scored = [familiar, unfamiliar, without_weight(familiar, 3)]
    rewards = [json.loads(_reward(one, objectives, terms=True).model_dump_json(exclude_unset=True)) for one in scored]
    known = ProfilesResponse(default="gate", profiles=[_told(each) for each in bound])
    given = {"rewards": rewards, "profiles": json.loads(known.model_dump_json(exclude_none=True))}
    told = page.driver.execute_async_script(STEER, given)
    assert len(told) == len(profiles)
    bounds = 0
    for profile, steering, one in zip(profiles, bound, told, strict=True):
        for here, there in zip(scored, one["steered"], strict=True):
            bounds += check_steered(steer(steerable.parts, here, steering), there)
        (tmp_path / "copied.toml").write_text(one["toml"], encoding="utf-8")
        again = read_profile(tmp_path / "copied.toml")
        assert Steering.of(again, objectives, steerable.config.scales).weights.tolist() == steering.weights.tolist()
        assert (again.name, again.renormalise, again.vetoes) == (profile.name, profile.renormalise, profile.vetoes)
    assert bounds > 100


def check_steered(server: Scored, page: dict[str, Any]) -> bool:
    """Compare terms to rounding; whether the page gives a bound of the standard error, which then is one."""
    terms = page["objectives"]
    size = float(np.abs(server.gains).sum() + np.abs(server.penalties).sum())
    assert server.steered is not None
    for key, values in (
        ("coefficient", server.coefficients),
        ("gain", server.gains),
        ("verbosity_penalty", server.penalties),
        ("contribution", server.contributions),
    ):
        np.testing.assert_allclose([term[key] for term in terms], values, rtol=1e-9, atol=1e-12 * max(size, 1.0))
    assert page["score"] == pytest.approx(server.score, rel=1e-10, abs=1e-11 * max(size, 1.0))
    assert page["veto"] == pytest.approx(server.steered.veto, abs=1e-9 * max(size, 1.0))
    assert tuple(page["vetoed"]) == server.steered.vetoed
    assert server.uncertainty is not None
    errors = [term["contribution_std"] for term in terms]
    for ours, theirs in zip(errors, server.uncertainty.contribution_std, strict=True):
        assert ours is None or ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
    if page["score_std"] is None:  # a weight where the gate has none
        assert None in errors
        return False
    assert page["score_std"] >= server.uncertainty.score_std * (1 - 1e-6)
    assert page["score_std"] <= sum(errors) * (1 + 1e-9)
    return bool(page["bound"])


def slider(page: Browser, name: str) -> WebElement:
    return page.driver.find_element(By.CSS_SELECTOR, f'.track input[aria-label="Weight of {name}"]')


def told(page: Browser, name: str) -> str:
    """Words of a screen reader for a slider."""
    return str(slider(page, name).get_attribute("aria-valuetext"))


def settled(page: Browser) -> None:
    """Wait until what was moved is drawn."""
    page.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def test_sliders_are_moved_by_keys_without_a_request(page: Browser, steerable: RewardModel) -> None:
    assert told(page, "helpsteer-coherence").startswith("the gate's weight, ")
    page.listen()
    asked = list(page.requests)
    slider(page, "helpsteer-coherence").send_keys(*[Keys.ARROW_RIGHT] * 10)
    slider(page, "beavertails-is_safe").send_keys(Keys.HOME)
    slider(page, "code-style").send_keys(*[Keys.ARROW_LEFT] * 20)
    settled(page)
    page.listen()
    assert page.requests == asked
    weights = {"helpsteer-coherence": 1.5, "beavertails-is_safe": -2.0, "code-style": 0.0}
    a, b = steerable.score([FAMILIAR, UNFAMILIAR], weights=weights, mode="multiply")
    assert number(text(page, "score-a")) == pytest.approx(a.score, abs=2e-3)
    assert number(text(page, "score-b")) == pytest.approx(b.score, abs=2e-3)
    assert text(page, "verdict").startswith(f"Answer {'A' if a.score > b.score else 'B'} scores higher, by ")
    shown = {
        row.find_element(By.CSS_SELECTOR, ".name").text: row.find_element(By.CLASS_NAME, "a-number").text
        for row in page.driver.find_elements(By.CSS_SELECTOR, "#chart tbody tr")
    }
    for name, contribution in zip(steerable.objectives, a.contributions, strict=True):
        assert number(shown[name].split()[0]) == pytest.approx(contribution, abs=2e-3)
    assert told(page, "helpsteer-coherence").startswith("1.5 times the gate's weight, ")
    assert told(page, "beavertails-is_safe").startswith("\u22122 times the gate's weight, ")
    assert "By the gate’s own weights: answer " in text(page, "weights-note")
    assert "± ≤" in text(page, "std-a")


def test_what_is_said_aloud_waits_until_the_sliders_rest(page: Browser) -> None:
    page.run(
        "window.said = []; const spoken = document.getElementById('spoken');"
        " new MutationObserver(() => said.push(spoken.textContent)).observe(spoken, {childList: true})"
    )
    slider(page, "helpsteer-coherence").send_keys(*[Keys.ARROW_RIGHT] * 25)
    WebDriverWait(page.driver, 10).until(lambda _: page.run("return said.length") > 0)
    time.sleep(0.2)
    (said,) = page.run("return said")
    assert said.startswith(text(page, "verdict"))


def test_one_weight_and_all_are_reset(page: Browser) -> None:
    before = [text(page, name) for name in ("score-a", "score-b", "std-a", "verdict")]
    for name in ("helpsteer-coherence", "code-style"):
        slider(page, name).send_keys(Keys.END)
    button = page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Reset the weight of code-style"]')
    button.send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element == slider(page, "code-style")
    assert not button.is_displayed()
    assert slider(page, "code-style").get_attribute("value") == "1"
    assert slider(page, "helpsteer-coherence").get_attribute("value") == "4"
    assert Select(page.driver.find_element(By.ID, "profile")).first_selected_option.text == "moved by you"
    page.driver.find_element(By.ID, "reset").send_keys(Keys.ENTER)
    settled(page)
    assert [text(page, name) for name in ("score-a", "score-b", "std-a", "verdict")] == before
    assert page.driver.switch_to.active_element.get_attribute("id") == "profile"
    assert not page.driver.find_element(By.ID, "reset").is_enabled()


def test_what_is_copied_is_a_profile_of_what_was_moved(page: Browser, steerable: RewardModel, tmp_path: Path) -> None:
    slider(page, "helpsteer-coherence").send_keys(*[Keys.ARROW_RIGHT] * 3)
    slider(page, "helpsteer-verbosity").send_keys(Keys.HOME)
    page.driver.find_element(By.ID, "copy").send_keys(Keys.ENTER)
    copied = page.driver.find_element(By.ID, "profile-text")
    assert page.driver.switch_to.active_element == copied
    (tmp_path / "mine.toml").write_text(copied.get_property("value"), encoding="utf-8")
    weights = {"helpsteer-coherence": 1.15, "helpsteer-verbosity": -2.0}
    assert read_profile(tmp_path / "mine.toml") == Profile(name="mine", mode="multiply", weights=weights)
    settled(page)
    (a,) = steerable.score([FAMILIAR], profile=tmp_path / "mine.toml")
    assert number(text(page, "score-a")) == pytest.approx(a.score, abs=2e-3)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_profile_of_the_folder_can_be_chosen(page: Browser, steerable: RewardModel, profile: Profile) -> None:
    Select(page.driver.find_element(By.ID, "profile")).select_by_visible_text(profile.name)
    settled(page)
    a, b = steerable.score([FAMILIAR, UNFAMILIAR], profile=profile)
    assert number(text(page, "score-a")) == pytest.approx(a.score, abs=2e-3)
    assert number(text(page, "score-b")) == pytest.approx(b.score, abs=2e-3)
    assert ("The veto of profile careful takes " in text(page, "reason")) == (profile is CAREFUL)


def test_the_profile_that_the_server_scores_by_is_where_sliders_begin(browser: Browser, steerable: RewardModel) -> None:
    with listening(steerable, profile="curious") as port:
        browser.open(f"http://127.0.0.1:{port}/", reduced_motion=True)
        fill(browser, PROMPT, *ANSWERS)
        score(browser)
    (a,) = steerable.score([FAMILIAR], profile="curious")
    assert number(text(browser, "score-a")) == pytest.approx(a.score, abs=2e-3)
    assert Select(browser.driver.find_element(By.ID, "profile")).first_selected_option.text == "curious"
    assert Select(browser.driver.find_element(By.ID, "mode")).first_selected_option.text == "add to the gate’s weights"


def test_a_profile_that_leaves_nothing_is_not_copied(page: Browser, steerable: RewardModel) -> None:
    Select(page.driver.find_element(By.ID, "mode")).select_by_value("replace")
    range_ = slider(page, "code-style")
    range_.send_keys(Keys.END)
    assert number(text(page, "score-a")) != 0
    range_.send_keys(*[Keys.ARROW_LEFT] * 50)  # back at 0: no weight, so that the gate's count again
    assert not page.driver.find_element(By.ID, "copy").is_enabled()
    Select(page.driver.find_element(By.ID, "mode")).select_by_value("multiply")
    page.run(
        "for (const each of document.querySelectorAll('.track input')) {"
        " each.value = 0; each.dispatchEvent(new Event('input')); }"
    )
    settled(page)
    assert number(text(page, "score-a")) == 0
    assert text(page, "verdict") == "Both answers score the same"
    page.driver.find_element(By.ID, "copy").send_keys(Keys.ENTER)
    assert text(page, "weights-note") == "Every weight is 0: give one objective a weight first."
    assert not page.driver.find_element(By.ID, "saved").is_displayed()


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1280, False)])
def test_moved_sliders_fit_and_can_be_read_by_everybody(browser: Browser, address: str, width: int, dark: bool) -> None:
    browser.open(address, width=width, dark=dark, reduced_motion=True)
    fill(browser, PROMPT, *ANSWERS)
    score(browser)
    for name, key in (("helpsteer-coherence", Keys.END), ("code-style", Keys.HOME)):
        slider(browser, name).send_keys(key)
    browser.driver.find_element(By.ID, "copy").click()
    settled(browser)
    assert browser.overflow == 0
    assert browser.violations() == []
    browser.listen()
    assert browser.console == []
