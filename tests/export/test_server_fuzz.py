"""Whatever is posted to whichever protocol, the answer is JSON with a score or a reason, and the server stays well."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.reward_model import RewardModel
from export.server.app import build_app
from export.server.settings import ServerSettings
from tests.export.test_server_hostile_bodies import ANYTHING, VALID, spoiled

REFUSALS = {400, 404, 405, 413, 415, 422, 429}
HEADER = "<|start_header_id|>{role}<|end_header_id|>\n\n"
TEMPLATED = "<|begin_of_text|>" + HEADER.format(role="user") + "a<|eot_id|>" + HEADER.format(role="assistant") + "b"
JSON = "application/json"

FAST = settings(max_examples=250, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=15_000, suppress_health_check=list(HealthCheck))


class InProcess:
    """The application without a socket: what it raises reaches the test."""

    def __init__(self, model: RewardModel, runner: asyncio.Runner) -> None:
        limits = {"responses": 50, "queue_tokens": 4000, "body_bytes": 60_000, "wait_ms": 0.0}
        self._app = build_app(model, ServerSettings.model_validate(limits), None)
        self._runner = runner
        self._lifespan = self._app.router.lifespan_context(self._app)
        runner.run(self._lifespan.__aenter__())

    def close(self) -> None:
        self._runner.run(self._lifespan.__aexit__(None, None, None))

    def ask(self, method: str, path: str, body: bytes = b"", kind: str | None = JSON) -> tuple[int, str]:
        """Status and text of the answer."""
        return self._runner.run(asyncio.wait_for(self._ask(method, path, body, kind), 30))

    async def _ask(self, method: str, path: str, body: bytes, kind: str | None) -> tuple[int, str]:
        headers = [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode())]
        headers += [(b"content-type", kind.encode("latin-1"))] if kind is not None else []
        scope = {"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path}
        scope |= {"raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers}
        scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}
        status, parts, given = 0, [], False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                await asyncio.sleep(60)
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, b"".join(parts).decode()


@pytest.fixture(scope="module")
def server(model: RewardModel) -> Iterator[InProcess]:
    with asyncio.Runner() as runner:
        started = InProcess(model, runner)
        yield started
        started.close()


class Errors(logging.Handler):
    """Lines that tell of a fault of the program."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def answered(server: InProcess, path: str, body: bytes, kind: str | None = JSON) -> int:
    """The status of the answer to a request, once everything that is promised of any answer holds."""
    errors = Errors()
    logging.root.addHandler(errors)
    try:
        status, text = server.ask("POST", path, body, kind)
    finally:
        logging.root.removeHandler(errors)
    assert errors.lines == []
    told = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))
    if status != 200:
        assert status in REFUSALS, (path, body, text)
        assert told["error"]["code"] == status
        assert told["error"]["message"].strip()
        assert len(text) < 2000
    assert server.ask("GET", "/health")[0] == 200
    return status


TEXT = st.sampled_from(
    [
        "",
        " ",
        "a",
        "\0",
        "\ud800",
        "<|eot_id|>",
        "<|pad|>",
        TEMPLATED,
        TEMPLATED + "<|eot_id|>",
        HEADER,
        "a " * 3000,
        "猫",
    ]
) | st.text(max_size=30)
IDS = st.lists(st.sampled_from([-1, 0, 1, 4, 5, 100, 8191, 8192, 2**31, 2**32, 2**63, True, 1.0]), max_size=12)
ROLE = st.sampled_from(["user", "assistant", "system", "tool", "", None])
TURNS = st.lists(st.fixed_dictionaries({"role": ROLE, "content": TEXT}), max_size=6)
PAIR = st.lists(TEXT, max_size=3)
FLAG = st.sampled_from([True, False, None, "yes", 1])


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return one | st.lists(one, max_size=5) | st.lists(one, min_size=51, max_size=60)


@dataclass(frozen=True)
class Shape:
    """A protocol's fields, of which each request has some."""

    path: str
    fields: dict[str, st.SearchStrategy[Any]]

    def bodies(self) -> st.SearchStrategy[tuple[str, Any]]:
        return st.tuples(st.just(self.path), st.fixed_dictionaries({}, optional=self.fields))


ONE = {"prompt": TEXT | TURNS, "responses": several(TEXT), "messages": TURNS}
SHAPES = [
    Shape("/v1/rewards", {"conversations": several(st.fixed_dictionaries({}, optional=ONE)), "decomposition": FLAG}),
    Shape("/get_reward", {"query": several(TEXT), "prompts": several(TEXT), "labels": ANYTHING}),
    Shape(
        "/classify", {"input": several(TEXT) | several(IDS), "messages": TURNS, "use_activation": FLAG, "model": TEXT}
    ),
    Shape(
        "/classify", {"text": several(TEXT), "input_ids": several(IDS), "rid": several(TEXT), "dimensions": ANYTHING}
    ),
    Shape("/v1/embeddings", {"input": several(TEXT) | several(IDS), "model": TEXT, "encoding_format": TEXT}),
    Shape("/v1/score/evaluation", {"messages": several(TEXT), "model": TEXT, "max_length": ANYTHING}),
    Shape("/score", {"text_1": several(TEXT), "text_2": several(TEXT), "queries": several(TEXT), "activation": FLAG}),
    Shape("/v1/score", {"data_1": several(TEXT), "items": several(TEXT), "truncate_prompt_tokens": FLAG}),
    Shape(
        "/predict",
        {"inputs": several(TEXT) | several(st.lists(TEXT, max_size=3)), "raw_scores": FLAG, "truncate": FLAG},
    ),
]

ALMOST = st.one_of([shape.bodies() for shape in SHAPES]) | spoiled()
"""Requests whose values are of the kinds that a protocol has, and valid requests with one value in another's place."""


@st.composite
def torn(draw: st.DrawFn) -> tuple[str, bytes, str | None]:
    """The bytes of a valid request, cut, doubled, changed or in another encoding; or bytes that are no JSON at all."""
    path, body = draw(st.sampled_from(VALID))
    made = json.dumps(body).encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])))
    start, end = sorted((draw(st.integers(0, len(made))), draw(st.integers(0, len(made)))))
    parts = [b"", b"\xff", b"[" * 3000, b'{"a":' * 2000, b"9" * 5000, b"1e400", b"NaN", b"\\ud800", b"\0", made]
    piece = draw(st.sampled_from(parts) | st.binary(max_size=8))
    kinds = [
        JSON,
        JSON,
        JSON,
        "application/json; charset=utf-16",
        "text/plain",
        "application/x+json",
        "a/b/c;;",
        "",
        None,
    ]
    return path, made[:start] + piece + made[end:], draw(st.sampled_from(kinds))


def dumped(body: Any) -> bytes:
    # Python's encoder writes NaN, Infinity and halves of surrogate pairs, as some clients do.
    return json.dumps(body).encode()


@FAST
@given(request=ALMOST)
def test_requests_that_are_almost_right(server: InProcess, request: tuple[str, Any]) -> None:
    assert answered(server, request[0], dumped(request[1])) in {200, *REFUSALS}


@FAST
@given(request=torn())
def test_bytes_that_are_almost_a_request(server: InProcess, request: tuple[str, bytes, str | None]) -> None:
    assert answered(server, *request) in {200, *REFUSALS}


@pytest.mark.slow
@LONG
@given(request=ALMOST)
def test_many_requests_that_are_almost_right(server: InProcess, request: tuple[str, Any]) -> None:
    assert answered(server, request[0], dumped(request[1])) in {200, *REFUSALS}


@pytest.mark.slow
@LONG
@given(request=torn())
def test_much_that_is_almost_a_request(server: InProcess, request: tuple[str, bytes, str | None]) -> None:
    assert answered(server, *request) in {200, *REFUSALS}


@pytest.mark.parametrize(("path", "body"), VALID)
def test_the_requests_that_are_spoiled_are_right(server: InProcess, path: str, body: Any) -> None:
    status, text = server.ask("POST", path, dumped({**body, **({"model": None} if "model" in body else {})}))
    assert status == 200 or "no assistant turn" in text, text


def test_the_queue_is_empty_after_it_all(server: InProcess) -> None:
    assert "armorm_queue_tokens 0.0" in server.ask("GET", "/metrics")[1]
