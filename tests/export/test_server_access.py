"""Who may ask: loopback alone by itself, a bearer token beyond it, and no names that others point here."""

import socket
from pathlib import Path

import httpx2
import pytest

from cache import UserError
from export.reward_model import RewardModel
from export.server.authorization import is_loopback, read_token
from export.server.page import FILES
from tests.export.server_thread import client, listening

TOKEN = "0123456789abcdef" * 2
BODY = {"text_1": "What is 2 + 2?", "text_2": "Four."}


def test_with_a_token_only_its_bearer_is_answered(model: RewardModel) -> None:
    with listening(model, TOKEN.encode()) as port, client(port) as asking:
        for header in (
            None,
            "",
            TOKEN,
            f"Basic {TOKEN}",
            "Bearer",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN.upper()}",
            "Bearer naïve".encode(),
        ):
            headers = {} if header is None else {"Authorization": header}
            for answer in (asking.post("/score", json=BODY, headers=headers), asking.get("/metrics", headers=headers)):
                assert answer.status_code == 401, header
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert TOKEN not in answer.text
        for kind in ("Bearer", "bearer"):
            assert asking.post("/score", json=BODY, headers={"Authorization": f"{kind} {TOKEN}"}).status_code == 200
        # The page asks for the token itself; a load balancer has none.
        assert {asking.get(path).status_code for path in (*FILES, "/health")} == {200}
        assert asking.get("/openapi.json").status_code == 401


def test_an_unknown_bearer_is_refused_before_its_body_is_read(model: RewardModel) -> None:
    with listening(model, TOKEN.encode(), body_bytes=2000) as port, client(port) as asking:
        assert asking.post("/score", content=b"x" * 5_000_000).status_code == 401


def test_a_name_that_somebody_points_here_is_refused(model: RewardModel) -> None:
    with listening(model) as port, client(port) as asking:
        for host in ("attacker.example", f"attacker.example:{port}", "127.0.0.1.attacker.example", ""):
            assert asking.post("/score", json=BODY, headers={"Host": host}).status_code == 400, host
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
            assert asking.post("/score", json=BODY, headers={"Host": host}).status_code == 200, host


def test_the_other_loopback(model: RewardModel) -> None:
    if not _has_ipv6():
        pytest.skip("this machine has no ::1")
    with listening(model, host="::1") as port:
        url = f"http://[::1]:{port}"
        answer = httpx2.post(f"{url}/score", json=BODY, trust_env=False, timeout=60)
        assert answer.status_code == 200
        assert httpx2.get(f"{url}/health", headers={"Host": "a.example"}, trust_env=False).status_code == 400


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_no_other_site_is_allowed_to_read_answers(model: RewardModel) -> None:
    with listening(model) as port, client(port) as asking:
        answer = asking.post("/score", json=BODY, headers={"Origin": "https://attacker.example"})
        preflight = asking.options("/score", headers={"Origin": "https://attacker.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert preflight.status_code == 405


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", ""])  # noqa: S104
def test_beyond_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARMORM_TOKEN", raising=False)
    assert read_token("127.0.0.1", None) is None
    with pytest.raises(UserError, match="can be reached from other machines, which needs a token"):
        read_token("0.0.0.0", None)  # noqa: S104
    monkeypatch.setenv("ARMORM_TOKEN", TOKEN)
    assert read_token("0.0.0.0", None) == TOKEN.encode()  # noqa: S104
    assert read_token("127.0.0.1", None) == TOKEN.encode()
    file = tmp_path / "token"
    file.write_text(f"{TOKEN[::-1]}\n")
    assert read_token("127.0.0.1", file) == TOKEN[::-1].encode()
    for text in ("", "short", "with spaces in the middle of it", "naïve" * 5, "a" * 20 + "\n" + "b" * 20):
        file.write_text(text)
        with pytest.raises(UserError, match="is no token"):
            read_token("127.0.0.1", file)
    monkeypatch.setenv("ARMORM_TOKEN", "")
    with pytest.raises(UserError, match="ARMORM_TOKEN is no token"):
        read_token("127.0.0.1", None)
    with pytest.raises(UserError, match="cannot be read"):
        read_token("127.0.0.1", tmp_path / "absent")
