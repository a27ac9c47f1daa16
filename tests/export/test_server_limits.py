"""Bodies that are malformed, oversize, binary or slow are refused, while others are served."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest

from export.reward_model import RewardModel
from tests.export.server_thread import client, listening

GOOD = {"text_1": "What is 2 + 2?", "text_2": "Four."}
HEAD = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def port(model: RewardModel) -> Iterator[int]:
    """A server with limits that a test reaches."""
    with listening(
        model,
        body_bytes=20_000,
        held_bytes=60_000,
        body_seconds=0.6,
        headers_seconds=0.6,
        responses=4,
        queue_tokens=500,
        connections=40,
    ) as port:
        yield port


def served(port: int) -> bool:
    with client(port) as asking:
        return asking.post("/score", json=GOOD).status_code == 200


def send(port: int, *parts: bytes, pause: float = 0.0, read_for: float = 10.0) -> bytes:
    """Send parts over a bare socket, and read until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=read_for) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(pause)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
                if b"\r\n\r\n" in answer and b"}}" in answer:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"\x00\xff\xfe" * 300, 422),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), 400),
        (b"[" * 15_000, 400),
        (b'{"text_1": ' + b"9" * 10_000 + b"}", 400),
        (b'{"text_1": NaN, "text_2": [Infinity]}', 422),
        (b'{"text_1": "\\ud800", "text_2": "b"}', 422),
        (b'{"text_1": "a", "text_2": "b", "use_activation": "perhaps"}', 422),
        (json.dumps({"text_1": "a\0b\x1b[31m\u202e", "text_2": "\U0010ffff\u200f"}).encode(), 200),
    ],
)
def test_malformed_and_binary_bodies(port: int, content: bytes, status: int) -> None:
    with client(port) as asking:
        answer = asking.post("/score", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
        assert "NaN" not in answer.text
        if status != 200:
            assert answer.json()["error"]["code"] == status
        assert asking.post("/score", json=GOOD).status_code == 200  # the same connection serves on


def test_a_hundred_thousand_items_are_refused_at_once(model: RewardModel) -> None:
    bodies = [
        ("/get_reward", '{"query": [%s]}'),
        ("/classify", '{"input": [%s]}'),
        ("/classify", '{"text": [%s], "dimensions": 2}'),
        ("/v1/embeddings", '{"input": [%s]}'),
        ("/v1/score/evaluation", '{"messages": [%s]}'),
        ("/score", '{"text_1": "a", "text_2": [%s]}'),
        ("/predict", '{"inputs": [%s]}'),
        ("/v1/rewards", '{"conversations": [%s]}'),
        ("/v1/rewards", '{"conversations": [{"messages": [%s]}]}'),
    ]
    with listening(model) as port, client(port) as asking:
        for path, body in bodies:
            for item in ("[]", '"a"'):
                content = body % ",".join([item] * 100_000)
                answer = asking.post(path, content=content, headers={"Content-Type": "application/json"})
                assert answer.status_code == 422, answer.text
                assert len(answer.text) < 1000, "it went on after the first wrong item"


def test_what_is_not_json_by_its_own_account_is_refused(port: int) -> None:
    """A form on another site can post text/plain here without asking; JSON it cannot."""
    with client(port) as asking:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = asking.post("/score", content=json.dumps(GOOD).encode(), headers={"Content-Type": kind})
            assert answer.status_code == 415
            assert answer.json()["error"]["message"] == (
                f"the Content-Type is {kind!r}: send JSON, as `Content-Type: application/json`"
            )
        answer = asking.post("/score", content=json.dumps(GOOD).encode())
        assert answer.status_code == 415
        assert "is missing" in answer.json()["error"]["message"]
        for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"):
            answer = asking.post("/score", content=json.dumps(GOOD).encode(), headers={"Content-Type": kind})
            assert answer.status_code == 200


def test_an_oversize_body_is_refused_by_its_length_before_it_is_sent(port: int) -> None:
    started = time.monotonic()
    answer = send(port, HEAD + b"Content-Length: 1000000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"longer than 20,000 bytes" in answer
    assert time.monotonic() - started < 5
    assert served(port)


def test_an_oversize_body_in_chunks_is_refused_while_it_comes(port: int) -> None:
    parts = [chunk(b"x" * 4000)] * 10
    answer = send(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *parts)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert served(port)


def test_a_client_that_sends_all_of_an_oversize_body_still_reads_why(port: int) -> None:
    with client(port) as asking:
        answer = asking.post("/score", json={"text_1": "a", "text_2": "b" * 1_000_000})
    assert answer.status_code == 413
    assert served(port)


def test_slow_bodies_and_heads_are_dropped_while_others_are_served(port: int) -> None:
    body = json.dumps(GOOD).encode()
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    with ThreadPoolExecutor(16) as pool:
        slow_bodies = [
            pool.submit(send, port, HEAD + length, *(body[at : at + 1] for at in range(8)), pause=0.2) for _ in range(6)
        ]
        slow_chunks = [
            pool.submit(send, port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk(b" ")] * 8, pause=0.2)
            for _ in range(4)
        ]
        slow_heads = [
            pool.submit(send, port, b"POST /score HTTP/1.1\r\n", *[b"X: y\r\n"] * 8, pause=0.2) for _ in range(6)
        ]
        time.sleep(0.3)
        assert all(served(port) for _ in range(10))
        assert all(each.result().startswith(b"HTTP/1.1 408 ") for each in slow_bodies + slow_chunks)
        assert [each.result() for each in slow_heads] == [b""] * 6
    assert served(port)


def test_a_second_head_on_a_kept_connection_has_a_deadline_too(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(2):
        connection.request("POST", "/score", json.dumps(GOOD), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["data"]
    connection.sock.sendall(HEAD[:20])
    started = time.monotonic()
    try:
        rest = connection.sock.recv(65536)
    except ConnectionResetError:
        rest = b""
    connection.close()
    assert rest == b""
    assert time.monotonic() - started < 5


def test_what_is_no_http_is_refused(port: int) -> None:
    assert send(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)).startswith(b"HTTP/1.1 400 ")
    assert served(port)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"text_1": "a", "text_2": ["b"] * 5}, "5 responses, more than the 4 of a request"),
        ({"text_1": "word " * 100, "text_2": ["word " * 50] * 4}, "tokens, more than the 500 that may wait"),
    ],
)
def test_a_request_for_too_much_is_told_how_much_is_allowed(port: int, body: dict[str, Any], sentence: str) -> None:
    with client(port) as asking:
        answer = asking.post("/score", json=body)
    assert answer.status_code == 413
    assert sentence in answer.json()["error"]["message"]


def test_a_text_of_many_megabytes_is_refused_unread(model: RewardModel) -> None:
    body = {"conversations": [{"prompt": "a", "responses": ["word " * 2_000_000, "b"]}]}
    with listening(model) as port, client(port) as asking:
        started = time.monotonic()
        answer = asking.post("/v1/rewards", json=body).json()
        assert time.monotonic() - started < 2
    long, short = answer["conversations"][0]["responses"]
    assert long["error"] == f"10,000,001 characters, more than {model.max_tokens:,} tokens can be"
    assert "score" in short


def test_a_full_queue_asks_to_come_back_and_answers_those_it_took(model: RewardModel) -> None:
    body = {"text_1": "word " * 60, "text_2": ["word " * 10] * 4}
    with listening(model, queue_tokens=400, pack_tokens=64) as port:

        def ask(_: int) -> httpx2.Response:
            with client(port) as asking:
                return asking.post("/score", json=body)

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
    taken = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert taken
    assert refused
    assert {answer.status_code for answer in refused} == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
    assert {len(answer.json()["data"]) for answer in taken} == {4}


def test_bodies_in_hand_are_bounded_in_all(port: int) -> None:
    part = b'{"text_1": "' + b"a" * 14_000
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(port, HEAD + b"Content-Length: 15000\r\n\r\n" + part), range(8)))
    statuses = sorted(answer.split(b" ")[1] for answer in answers)
    assert b"429" in statuses  # more than 60,000 bytes; the others never finished
    assert b"408" in statuses
    assert served(port)


def test_more_connections_than_allowed_are_told_so(model: RewardModel) -> None:
    with listening(model, connections=5) as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(5)]
        try:
            time.sleep(0.2)
            with client(port) as asking:
                assert asking.get("/health").status_code == 503
        finally:
            for connection in held:
                connection.close()
        time.sleep(0.2)
        assert served(port)


def test_a_client_that_leaves_frees_its_place_in_the_queue(model: RewardModel) -> None:
    body = json.dumps({"text_1": "word " * 60, "text_2": ["word " * 10] * 40}).encode()
    with listening(model, pack_tokens=64, queue_tokens=4000) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as leaving:
            leaving.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            time.sleep(0.15)
        assert served(port)
        with client(port) as asking:
            end = time.monotonic() + 20
            while 'armorm_requests_total{path="/score",status="499"} 1.0' not in (text := asking.get("/metrics").text):
                assert time.monotonic() < end, text
                time.sleep(0.05)
            scored = next(line for line in text.splitlines() if line.startswith("armorm_scored_responses_total"))
    assert float(scored.split()[1]) < 41


def test_paths_and_methods_that_are_not_served(port: int) -> None:
    with client(port) as asking:
        assert asking.get("/score").status_code == 405
        for path in ("/docs", "/redoc", "/../etc/passwd", "/page/../run.py", "/%2e%2e/run.py"):
            answer = asking.get(path)
            assert answer.status_code == 404, path
            assert answer.json()["error"]["code"] == 404
        metrics = asking.get("/metrics").text
    assert 'path="other"' in metrics
    assert "passwd" not in metrics
