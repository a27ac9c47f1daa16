"""HTTP as others read it: framing, HEAD, refusals in JSON, and log lines that nobody can make many of."""

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from export.reward_model import RewardModel
from export.server.log_lines import NowAndThen
from tests.export.server_thread import client, listening

GOOD = json.dumps({"text_1": "What is 2 + 2?", "text_2": "Four."}).encode()
HEAD = b"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNKED = f"{len(GOOD):x}\r\n".encode() + GOOD + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def port(model: RewardModel) -> Iterator[int]:
    with listening(model) as port:
        yield port


def until_closed(port: int, sent: bytes) -> bytes:
    """All that the server answers before it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def error(answer: bytes) -> dict[str, object]:
    """The one refusal in an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    assert b"connection: close" in head.lower()
    told = json.loads(body)["error"]
    assert head.startswith(f"HTTP/1.1 {told['code']} ".encode())
    return told


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(CHUNKED),
        b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_request_framed_twice_ends_its_connection(port: int, framing: bytes) -> None:
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    told = error(until_closed(port, HEAD + framing + CHUNKED + smuggled))  # one answer: the second is not even read
    assert told["code"] == 400
    assert "both Content-Length and Transfer-Encoding" in str(told["message"])


def test_either_framing_alone_is_answered_on_a_kept_connection(port: int) -> None:
    length = f"Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED
    answer = until_closed(port, HEAD + length + HEAD + chunks + HEAD + b"Connection: close\r\n" + length)
    assert answer.count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_json(port: int, sent: bytes) -> None:
    assert error(until_closed(port, sent))["code"] in {400, 501}


def test_another_name_for_this_machine_is_refused_in_json(port: int) -> None:
    told = error(until_closed(port, b"GET /health HTTP/1.1\r\nHost: attacker.example\r\n\r\n"))
    assert told["code"] == 400
    assert "does not name this machine" in str(told["message"])


def test_a_connection_too_many_is_refused_in_json(model: RewardModel) -> None:
    with listening(model, connections=2) as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2)]
        told = error(until_closed(port, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
        for connection in held:
            connection.close()
    assert told["code"] == 503
    assert told["message"] == "the server has 2 connections already: send this again later"


def test_head_is_get_without_the_body(port: int) -> None:
    with client(port) as asking:
        for path in ("/", "/page.css", "/page.js", "/health", "/metrics", "/v1/models", "/openapi.json"):
            head, get = asking.head(path), asking.get(path)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["Content-Type"] == get.headers["Content-Type"]
            if path != "/metrics":  # which grows with every request
                assert head.headers["Content-Length"] == str(len(get.content))
        assert asking.head("/score").status_code == 405
        assert 'armorm_requests_total{path="/health",status="200"}' in asking.get("/metrics").text


def test_a_thousand_malformed_requests_are_one_log_line(model: RewardModel, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with listening(model) as port, caplog.at_level(logging.INFO):
        for name in ("uvicorn.error", "export.server.connection"):
            (each,) = (each for each in logging.getLogger(name).filters if isinstance(each, NowAndThen))
            each._last.clear()
            each._left_out.clear()
        for _ in range(30):
            until_closed(port, b"no http\r\n\r\n")
            assert until_closed(port, upgrade).startswith(b"HTTP/1.1 200 ")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(("uvicorn", "export"))]
    assert [line for line in lines if "Invalid" in line] == ["Invalid HTTP request received."]
    assert not [line for line in lines if "pip install" in line or "pgrade" in line]


def test_lines_left_out_are_counted_in_the_next(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    lines = logging.getLogger("tests.now_and_then")
    lines.addFilter(NowAndThen(60, lambda: now[0]))
    with caplog.at_level(logging.INFO, lines.name):
        for second in range(100):
            now[0] = float(second)
            lines.warning("malformed %s", "request")
            if second % 50 == 0:
                lines.error("broken")
    assert [record.getMessage() for record in caplog.records] == [
        "malformed request",
        "broken",
        "broken",
        "malformed request (59 more like it since the last such line)",
    ]
