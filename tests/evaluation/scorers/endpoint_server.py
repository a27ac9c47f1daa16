"""A real HTTP server that speaks the chat completions protocol, well or badly, as a test says."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Counts questions and requests."""

    daemon_threads = True

    def __init__(self, reply: Callable[[str, int], "Reply"]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.lock = threading.Lock()
        self.under_way = 0
        self.most_under_way = 0
        self.times: list[float] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hung up: some are meant to."""

    @property
    def url(self) -> str:
        """Base URL for the client."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class Reply:
    """The response to a question.

    Args:
        text: content of the message: text, or anything else that an endpoint may send.
        status: HTTP status.
        headers: HTTP headers.
        body: the body in place of a chat completion.
        cut: whether the connection ends in the middle of the body.
        delay: seconds before the response.
        message: further fields of the message.
        finish: the choice's finish_reason.
        spaces: seconds of white space before the body, as servers send to keep a connection alive.
    """

    def __init__(
        self,
        text: Any = "[[A]]",
        status: int = 200,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        cut: bool = False,
        delay: float = 0.0,
        message: dict[str, Any] | None = None,
        finish: str | None = "stop",
        spaces: float = 0.0,
    ) -> None:
        self.message, self.finish, self.spaces = message or {}, finish, spaces
        self.text, self.status, self.headers = text, status, headers or {}
        self.body, self.cut, self.delay = body, cut, delay

    def bytes(self) -> bytes:
        """The body."""
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": f"status {self.status}"}}).encode()
        message = {"role": "assistant", "content": self.text, **self.message}
        choice = {"index": 0, "finish_reason": self.finish, "message": message}
        return json.dumps(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every response waits 40 ms for an acknowledgement

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = request["messages"][-1]["content"]
        server = self.server
        with server.lock:
            server.asked[question] += 1
            server.requests.append(request)
            server.keys.add(self.headers["Authorization"])
            server.times.append(time.monotonic())
            attempt = server.asked[question]
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        reply = server.reply(question, attempt)
        time.sleep(reply.delay)
        with server.lock:
            server.under_way -= 1
        body = reply.bytes()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        if reply.spaces:
            self._send_after_spaces(body, reply.spaces)
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.cut:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def _send_after_spaces(self, body: bytes, seconds: float) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._send_chunk(b" \n")
            time.sleep(0.02)
        self._send_chunk(body)
        self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write no log."""


def always(reply: Reply) -> Callable[[str, int], Reply]:
    """A server that gives one reply to every question."""
    return lambda _question, _attempt: reply


@contextmanager
def endpoint(reply: Callable[[str, int], Reply]) -> Iterator[Server]:
    """A server on loopback that responds with `reply(question, attempt)`."""
    server = Server(reply)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)  # 0.02: seconds to notice the end
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
