"""A server on this machine that speaks the hub's protocol as far as huggingface_hub and this project ask for it.

Faults are given out one a request: the first request of a path takes the first fault of its list, and so on.
"""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE = 10_000
"""Bytes from which a file is listed as one in Git LFS."""


@dataclass(frozen=True)
class Fault:
    """The fate of one request."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes of the body after which the connection breaks."""
    pause: float = 0.0
    """Seconds before each quarter of the body."""
    body: bytes | None = None
    """Sent in place of the file's bytes."""


GATED = Fault(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to dataset is restricted."})


@dataclass
class Hub:
    """Repositories in folders `root/datasets/org/name` and `root/models/org/name`."""

    root: Path
    endpoint: str = ""
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Repository -> its card's data."""
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """Path of a file (`org/name/file`) or of an API call (`api/datasets/org/name`) -> faults of its next requests."""
    always: dict[str, Fault] = field(default_factory=dict)
    """Repository -> the fault of every request for one of its files."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(method, path, Range) of every request."""
    authorization: str | None = None
    """That header of the last request."""

    def commit(self, kind: str, name: str) -> str:
        return hashlib.sha1(f"{kind}/{name}".encode(), usedforsecurity=False).hexdigest()

    def served(self, path: str) -> int:
        """Number of GET requests of a file."""
        return sum(method == "GET" and asked == path for method, asked, _ in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *rest: Any) -> None:
        self.hub = hub
        super().__init__(*rest)

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        self.hub.authorization = self.headers.get("Authorization")
        if parts[0] == "api":
            self.api(parts[1], "/".join(parts[2:4]), parts[4:])
        elif "resolve" in parts:
            kind = "datasets" if parts[0] == "datasets" else "models"
            name, file = parts[1:3] if kind == "datasets" else parts[:2], parts[parts.index("resolve") + 2 :]
            self.file(kind, "/".join(name), "/".join(file))
        else:
            self.send(404)

    def api(self, kind: str, name: str, rest: list[str]) -> None:
        path = f"api/{kind}/{name}"
        self.hub.requests.append((self.command, path, None))
        if fault := self.fault(path):
            return self.send(fault.status or 500, fault.headers)
        folder, commit = self.hub.root / kind / name, self.hub.commit(kind, name)
        if not folder.is_dir():
            return self.send(404, {"X-Error-Code": "RepoNotFound"})
        if rest and rest[1] not in ("main", commit):
            return self.send(404, {"X-Error-Code": "RevisionNotFound"})
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if rest and rest[0] == "tree":
            return self.json([_entry(folder, file) for file in files])
        siblings = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
        return self.json(
            {"id": name, "sha": commit, "siblings": siblings, "cardData": self.hub.cards.get(name, {}), "tags": []}
        )

    def file(self, kind: str, name: str, file: str) -> None:
        asked = self.headers.get("Range")
        self.hub.requests.append((self.command, f"{name}/{file}", asked))
        fault = self.fault(f"{name}/{file}") or self.hub.always.get(name) or Fault()
        path = self.hub.root / kind / name / file
        if fault.status is not None:
            return self.send(fault.status, fault.headers)
        if not path.is_file():
            return self.send(404, {"X-Error-Code": "EntryNotFound"})
        whole = fault.body if fault.body is not None else path.read_bytes()
        start, stop = _range(asked, len(whole))
        if asked and start >= len(whole):
            return self.send(416)
        headers = {
            "ETag": f'"{_entry(path.parent, path)["oid"]}"',
            "X-Repo-Commit": self.hub.commit(kind, name),
            "Content-Length": str(stop - start),
            "Accept-Ranges": "bytes",
        }
        if asked:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(whole)}"
        self.send_response(206 if asked else 200)
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "HEAD":
            return None
        body = whole[start:stop] if fault.cut is None else whole[start:stop][: fault.cut]
        quarter = max(1, len(body) // 4)
        for at in range(0, len(body), quarter):
            time.sleep(fault.pause)
            self.wfile.write(body[at : at + quarter])
        if fault.cut is not None:
            self.close_connection = True
            self.connection.shutdown(2)
        return None

    def fault(self, path: str) -> Fault | None:
        waiting = self.hub.faults.get(path)
        return waiting.pop(0) if waiting else None

    def json(self, value: Any) -> None:
        self.send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _range(asked: str | None, size: int) -> tuple[int, int]:
    if not asked:
        return 0, size
    first, last = asked.removeprefix("bytes=").split("-")
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _entry(folder: Path, file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    entry: dict[str, Any] = {"type": "file", "path": file.relative_to(folder).as_posix(), "size": len(data)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if len(data) >= LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that goes away in the middle of an answer is what some tests are about."""


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Serve the repositories below a folder until the block ends."""
    hub = Hub(root)
    server = _Server(("127.0.0.1", 0), partial(_Handler, hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch, wait: float = 0.001) -> None:
    """Let this process ask that server, keep what it fetches in `cache`, and wait briefly after failures."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("extract.hub.patience.FIRST_WAIT", wait)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    close_session()  # a connection of another server's client is no longer there
