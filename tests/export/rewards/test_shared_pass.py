"""A shared pass: threads' requests go into one pass, memory is bounded, and a failure is not kept."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from export.conversations import Conversation
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from export.rewards.shared_pass import SharedPass
from gating.reward import Scored
from tests.export.conftest import SEVERAL, conversation
from tests.export.rewards.counting import counted_passes


class Slow:
    """A model whose first pass lasts until it is let go; counts what it is asked for."""

    def __init__(self, model: RewardModel) -> None:
        self.model, self.asked = model, [0]
        self.begun, self.go_on = threading.Event(), threading.Event()

    def score_each(self, conversations: Iterable[Conversation]) -> list[Scored | NotScorableError]:
        given = list(conversations)
        self.asked.append(len(given))
        self.begun.set()
        assert self.go_on.wait(60)
        return self.model.score_each(given)


def test_what_threads_ask_for_during_a_pass_is_the_next_pass(on_scale: RewardModel) -> None:
    slow: Any = Slow(on_scale)
    shared = SharedPass(slow)
    texts = [f"answer {number}" for number in range(12)]
    with ThreadPoolExecutor(len(texts)) as pool:
        first = pool.submit(shared.score_each, [conversation("Hi", texts[0])])
        assert slow.begun.wait(60)
        others = [pool.submit(shared.score_each, [conversation("Hi", text)]) for text in texts[1:] + texts[:1]]
        while len(shared._waiting) < len(texts) - 1:
            threading.Event().wait(0.001)
        slow.go_on.set()
        told = [one.result(60)[0] for one in (first, *others)]
    assert slow.asked == [0, 1, len(texts) - 1]
    expected = on_scale.score([conversation("Hi", text) for text in texts])
    assert all(isinstance(one, Scored) for one in told)
    assert [one.score for one in told] == pytest.approx([*(one.score for one in expected), expected[0].score], rel=1e-5)


def test_many_threads_get_their_own_numbers(on_scale: RewardModel) -> None:
    shared = SharedPass(on_scale, kept=5)
    batches = [[conversation("Hi", f"answer {(7 * row + number) % 20}") for number in range(4)] for row in range(40)]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(shared.score_each, batches))
    for batch, results in zip(batches, told, strict=True):
        expected = [one.score for one in on_scale.score(batch)]
        assert [one.score for one in results if isinstance(one, Scored)] == pytest.approx(expected, rel=1e-5)


def test_memory_is_bounded_and_the_latest_batch_is_kept_whole(on_scale: RewardModel) -> None:
    shared = SharedPass(on_scale, kept=3)
    large = [conversation("Hi", f"answer {number}") for number in range(6)]
    with counted_passes(on_scale) as passes:
        shared.score_each(large)
        shared.score_each(large)
        assert len(passes) == 1
        assert len(shared._results) == 6
        shared.score_each([conversation("Ho", "new")])
        assert len(shared._results) == 3
        shared.score_each(large[-2:])  # the latest of the large batch
        assert len(passes) == 2
        shared.score_each(large[:1])
        assert len(passes) == 3


def test_turns_in_another_form_are_the_same_conversation(on_scale: RewardModel) -> None:
    shared = SharedPass(on_scale)
    spelt = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes."}]
    with counted_passes(on_scale) as passes:
        (one,) = shared.score_each([conversation("Hi", "Yes.")])
        (other,) = shared.score_each([spelt])
        shared.score_each([conversation("Hi", "Yes.", "Hi", "Yes.")])
    assert one is other
    assert len(passes) == 2


def test_what_is_no_conversation_has_its_reason_beside_the_others_scores(on_scale: RewardModel) -> None:
    bad: Any = [{"role": "user", "content": "Hi"}]
    one, other, surrogate = SharedPass(on_scale).score_each([bad, SEVERAL[0], conversation("Hi", "\ud83d")])
    assert str(one) == "it does not end with an assistant turn"
    assert isinstance(other, Scored)
    assert isinstance(surrogate, NotScorableError)


def test_a_failure_reaches_all_who_asked_and_is_tried_again(on_scale: RewardModel) -> None:
    class Failing:
        def __init__(self) -> None:
            self.failed = False

        def score_each(self, conversations: Iterable[Conversation]) -> list[Scored | NotScorableError]:
            if not self.failed:
                self.failed = True
                raise RuntimeError("out of memory")
            return on_scale.score_each(conversations)

    model: Any = Failing()
    shared = SharedPass(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        shared.score_each(SEVERAL)
    assert len(shared._results) == 0
    assert len(shared.score_each(SEVERAL)) == len(SEVERAL)
