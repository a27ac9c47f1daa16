"""Workers of a cluster that somebody else started, joined by a machine of it and from outside."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cache import UserError
from cache.ray_cluster import refuse_unreachable
from tests.conftest import ROOT
from tests.extract.ray.test_ray_workers import assert_whole, expected, finish, running

__all__ = ["expected"]  # a fixture


@dataclass(frozen=True)
class Cluster:
    """A head on this machine, which asks for a token, with room for two workers at a time."""

    inside: str
    outside: str
    environment: dict[str, str]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    port, client_port = free_port(), free_port()
    environment = os.environ | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--include-dashboard=false"]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client_port}"]
    command += ["--num-cpus=4", f"--object-store-memory={256 << 20}"]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    ) as head:
        try:
            found = Cluster(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", environment)
            wait_until_it_listens(head, found.inside)
            wait_until_it_listens(head, found.outside)
            yield found
        finally:
            head.terminate()  # it stops Ray's own processes, which on a busy machine takes long
            with suppress(subprocess.TimeoutExpired):
                head.wait(timeout=60)
            with suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_it_listens(head: "subprocess.Popen[bytes]", address: str) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            return refuse_unreachable(address)
        except UserError:
            assert head.poll() is None, "the head ended"
            assert time.monotonic() < until, "the head does not listen"
            time.sleep(0.5)


@pytest.mark.slow
def test_workers_of_a_cluster_leave_the_bytes_of_one_process(
    tmp_path: Path, expected: dict[bytes, bytes], cluster: Cluster
) -> None:
    for name, address in (("outside", cluster.outside), ("inside", cluster.inside)):
        with running(tmp_path / name, workers=2, address=address, environment=cluster.environment) as driver:
            printed, errors = finish(driver)
        assert [line.split()[:3] for line in printed] == [["outcome", str(len(expected)), "0"]], errors
        assert errors == ""
        assert_whole(tmp_path / name, expected)


@pytest.mark.slow
def test_what_a_worker_refuses_reaches_the_user_from_outside_too(tmp_path: Path, cluster: Cluster) -> None:
    root = tmp_path / "refused"
    with running(root, 2, engine="no_memory", address=cluster.outside, environment=cluster.environment) as driver:
        printed, errors = finish(driver)
    assert printed == ["refused a conversation does not fit the memory: lower backbone.max_tokens"], errors


def test_an_address_where_nobody_listens_is_refused_in_seconds() -> None:
    for address in (f"127.0.0.1:{free_port()}", f"ray://127.0.0.1:{free_port()}"):
        with pytest.raises(UserError, match=rf"^Ray cannot be reached at {address} \("):
            refuse_unreachable(address)
    refuse_unreachable("auto")
