"""Whatever JSON is posted, the answer is a score or one sentence, never a failure of the server."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.server_process import Served

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", " ", "\ud800", "\0", "a" * 3000, "<|eot_id|>", "user", "assistant", 2**63, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]

VALID: list[tuple[str, Any]] = [
    ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": ["b", "c"]}], "decomposition": True}),
    ("/v1/rewards", {"conversations": [{"messages": TURNS}]}),
    ("/get_reward", {"query": ["a", "b"], "prompts": ["a", "b"], "labels": [1, 2]}),
    ("/classify", {"model": "model", "input": [[1, 2], [3]], "use_activation": False}),
    ("/classify", {"messages": TURNS, "add_generation_prompt": False}),
    ("/classify", {"text": ["a", "b"], "rid": ["x", "y"], "dimensions": 1}),
    ("/classify", {"input_ids": [1, 2], "rid": "x"}),
    ("/v1/embeddings", {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 1}),
    ("/v1/score/evaluation", {"model": "model", "messages": ["a", "b"], "max_length": None}),
    ("/score", {"text_1": "a", "text_2": ["b", "c"], "use_activation": True}),
    ("/predict", {"inputs": [["a"], ["a", "b"]], "raw_scores": True}),
]


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Any]:
    """A valid request with one value, somewhere in it, in another's place; or with a key too many."""
    path, body = draw(st.sampled_from(VALID))
    return path, _spoil(draw, json.loads(json.dumps(body)))


def _spoil(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict | list) and value and draw(st.booleans()):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        value[key] = _spoil(draw, value[key])
        return value
    if isinstance(value, dict) and draw(st.booleans()):
        return {**value, draw(st.text(max_size=8)): draw(ANYTHING)}
    return draw(ANYTHING)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(request=spoiled())
def test_spoiled_requests(served: Served, connection: httpx2.Client, request: tuple[str, Any]) -> None:
    path, body = request
    # Python's encoder writes NaN, Infinity and halves of surrogate pairs, as some clients do.
    answer = connection.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 400, 404, 413, 422}, (path, body, answer.text)
    told = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))
    if answer.status_code != 200:
        assert told["error"]["message"]
        assert len(answer.text) < 2000


@pytest.fixture(scope="module")
def connection(served: Served) -> Any:
    with served.client() as client:
        yield client


def test_the_description_names_every_protocol(connection: httpx2.Client) -> None:
    described = connection.get("/openapi.json").json()
    assert {path for path, _ in VALID} <= set(described["paths"])
    for path, _ in VALID:
        assert described["paths"][path]["post"]["description"]
