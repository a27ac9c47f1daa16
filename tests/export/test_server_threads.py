"""Both encoding threads share one tokenizer and one process for templates, and every answer is that of its request."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from export.reward_model import RewardModel
from export.server.encoding import TURN_CHARACTERS
from extract.template.renderer import Renderer
from tests.export.server_thread import client, listening

CLIENTS = 24
EACH = 4


def conversation(asker: int, number: int) -> list[dict[str, str]]:
    """One of its own; every third asker's has few tokens, and more characters than the thread for short texts takes."""
    filler = " " * (TURN_CHARACTERS + 100 * asker) if asker % 3 == 0 else ""
    return [
        {"role": "user", "content": f"Asker {asker} wants {filler}to know: why {number} owls?"},
        {"role": "assistant", "content": f"Since {number * asker} foxes count them, {'very ' * (asker % 5)}slowly."},
    ]


def test_every_answer_belongs_to_its_request_while_long_and_short_texts_are_encoded_at_once(
    model: RewardModel,
) -> None:
    asked = [[conversation(asker, number) for number in range(EACH)] for asker in range(CLIENTS)]
    expected = [[scored.score for scored in model.score(each)] for each in asked]

    with listening(model) as port:

        def ask(asker: int) -> list[float]:
            told = []
            with client(port) as connection:
                for number, turns in enumerate(asked[asker]):
                    if number % 2:
                        text = model._encoder.tokenizer.apply_chat_template(turns, tokenize=False)
                        answer = connection.post("/get_reward", json={"query": [text]})
                        told += answer.json()["rewards"]
                    else:
                        body = {"text_1": turns[0]["content"], "text_2": turns[1]["content"]}
                        answer = connection.post("/score", json=body)
                        told.append(answer.json()["data"][0]["score"])
            return told

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = list(pool.map(ask, range(CLIENTS)))
    spread = float(np.std(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * spread)
    flat = np.sort(np.ravel(expected))
    assert np.median(np.diff(flat)) > 2e-3 * spread, "an answer for another's would not be seen"


def test_threads_that_render_at_once_read_no_answer_of_another() -> None:
    renderer = Renderer()
    template = "{% for message in messages %}{{ message.content }}{% endfor %}{{ tail }}"

    def render(thread: int) -> list[bool]:
        kept = []
        for number in range(40):
            content = f"{thread}.{number} " * (1 + 500 * (number % 7 == 0))
            given: list[list[dict[str, Any]]] = [[{"role": "user", "content": content}] for _ in range(3)]
            kept.append(renderer(template, {"tail": thread}, given) == [(True, f"{content}{thread}")] * 3)
        return kept

    try:
        with ThreadPoolExecutor(8) as pool:
            kept = list(pool.map(render, range(8)))
    finally:
        renderer.close()
    assert all(map(all, kept))
