"""Commands and tables of docs/serving.md: each curl command runs, and the tables name what is there."""

import json
import re
import shutil
import subprocess

import pytest

from export.server.settings import ServerSettings
from tests.conftest import ROOT
from tests.export.server_process import Served

PAGE = (ROOT / "docs" / "serving.md").read_text()
COMMANDS = re.findall(
    r"^curl .*?'(?:$|\n(?=curl|```))", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)), re.M | re.S
)


def test_each_protocol_has_a_command() -> None:
    assert {re.findall(r":8000(/\S+)", command)[0] for command in COMMANDS} == {
        "/v1/rewards",
        "/get_reward",
        "/classify",
        "/score",
        "/predict",
        "/v1/embeddings",
        "/v1/score/evaluation",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_is_answered(served: Served, command: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    here = command.replace("http://127.0.0.1:8000", served.url)
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=60, check=True)
    assert "error" not in done.stdout
    assert json.loads(done.stdout)


def test_the_metrics_it_lists_are_there(served: Served) -> None:
    with served.client() as client:
        told = client.get("/metrics").text
    listed = re.findall(r"`(armorm_\w+)", PAGE)
    assert len(listed) > 8
    for name in listed:
        assert re.search(rf"^# HELP {name.removesuffix('_total')}", told, re.M), name


def test_the_options_it_names_are_options() -> None:
    named = {name.replace("-", "_") for name in re.findall(r"`--([a-z-]+)[` ]", PAGE)}
    assert len(named) > 10
    assert named <= set(ServerSettings.model_fields), named - set(ServerSettings.model_fields)
