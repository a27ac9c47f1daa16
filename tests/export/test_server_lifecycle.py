"""Starting, being killed, starting again, stopping; and what is said when an address or a folder cannot be served."""

import contextlib
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cache import UserError
from export.server.settings import ServerSettings
from pipelines.cli import app, main
from pipelines.commands.serve import serve
from tests.export.server_process import Served, serving

SMALL = {"text_1": "What is 2 + 2?", "text_2": "Four."}
LARGE = {"text_1": "word " * 200, "text_2": [f"{number} " + "word " * 30 for number in range(40)]}


def ask(served: Served, body: object) -> httpx2.Response:
    with served.client() as client:
        return client.post("/score", json=body)


def in_vain(served: Served, body: object) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        ask(served, body)


def test_after_kill_9_the_same_port_serves_the_same_and_sigterm_finishes_what_is_in_hand(
    model_folder: Path, tmp_path: Path
) -> None:
    with serving(model_folder, tmp_path / "first") as killed:
        assert killed.log.read_text().rstrip().endswith(f"at http://127.0.0.1:{killed.port}")
        before = ask(killed, SMALL).json()["data"]
        busy = threading.Thread(target=in_vain, args=(killed, LARGE))
        busy.start()
        time.sleep(0.2)
        killed.process.kill()
        killed.process.wait()
        busy.join(timeout=30)

    with serving(model_folder, tmp_path / "second", "--port", str(killed.port), "--pack-tokens", "512") as served:
        assert served.port == killed.port
        assert ask(served, SMALL).json()["data"] == before
        answers: list[httpx2.Response] = []
        asking = [threading.Thread(target=lambda: answers.append(ask(served, LARGE))) for _ in range(4)]
        for thread in asking:
            thread.start()
        with served.client() as client:
            while "armorm_queue_tokens 0.0" in client.get("/metrics").text:
                time.sleep(0.01)
        time.sleep(0.2)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=60) == 0
        for thread in asking:
            thread.join(timeout=30)
        assert [len(answer.json()["data"]) for answer in answers] == [40] * 4
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", served.port)) != 0
        assert "Traceback" not in served.log.read_text()


def test_a_port_in_use_is_one_sentence_and_exit_code_2(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["armorm", "serve", str(model_folder), "--port", str(port)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"error: port {port} of 127.0.0.1 is in use: stop what listens there, or name another with --port\n"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"host": "127.0.0.1.invalid"}, "--host 127.0.0.1.invalid can be reached from other machines"),
        ({"host": "localhost.invalid", "token_file": "token"}, "--host localhost.invalid cannot be listened at"),
        ({"host": "192.0.2.1", "token_file": "token"}, "--host 192.0.2.1 cannot be listened at"),
        ({"pack_tokens": 1}, "--pack-tokens: "),
        ({"port": 70000}, "--port: "),
        ({"wait_ms": float("nan")}, "--wait-ms: "),
    ],
)
def test_an_impossible_option_is_named(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], sentence: str
) -> None:
    monkeypatch.delenv("ARMORM_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("0123456789abcdef" * 2)
    with pytest.raises(UserError) as refused:
        serve(model_folder, options, device="cpu", dtype=None)
    assert str(refused.value).startswith(sentence)


def test_the_help_ends_with_an_example_whose_options_exist() -> None:
    shown = " ".join(CliRunner().invoke(app, ["serve", "--help"]).stdout.split())
    assert shown.endswith("Example: armorm serve exported/demo --port 8000")
    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    with command.make_context("serve", ["exported/demo", "--port", "8000"]) as context:
        assert (context.params["folder"], context.params["port"]) == (Path("exported/demo"), 8000)
        assert set(ServerSettings.model_fields) <= set(context.params)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*config\.json"):
        serve(tmp_path, {"port": 0}, device="cpu", dtype=None)


def test_what_the_command_lacks_is_named(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "export.server.run", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(
        UserError, match=r"armorm serve needs uvicorn, which is not installed: run `pip install -e '\.\[server\]'`"
    ):
        serve(model_folder, {}, device="cpu", dtype=None)
