"""`armorm doctor` and `--version`: what is installed, what the machine has, and what would be slow."""

import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipelines.commands import doctor
from pipelines.installation import EXTRAS, Device, Doctor, extras, versions
from tests.conftest import ROOT
from tests.pipelines.conftest import armorm

HERE = Doctor(
    versions={},
    machine="a machine",
    cores=2,
    compiler="/usr/bin/c++",
    devices=(Device("cpu", 1 << 34, {"float32": 100.0, "bfloat16": 200.0}),),
    extras={},
    disks={"/somewhere": 10**12},
    remarks=(),
)
GPU = Device("cuda:0 H100", 80 << 30, {"float32": 50_000.0, "bfloat16": 700_000.0})


def remarks(monkeypatch: pytest.MonkeyPatch, found: Doctor) -> str:
    for name in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return "\n".join(doctor.remarks(found))


def test_the_version_names_the_checkout_s_commit_and_imports_no_torch() -> None:
    code = "import sys; sys.argv = ['armorm', '--version']\nfrom pipelines.cli import main\ntry:\n    main()\n"
    code += "finally:\n"
    code += "    assert not {'torch', 'transformers'} & set(sys.modules), 'imported'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    assert done.stdout.startswith(f"armorm 0.2.0 (commit {commit}), Python 3." if commit else "armorm 0.2.0, Python 3.")
    assert f"torch {versions()['torch']}" in done.stdout


def test_the_command_shows_what_is_here(tmp_path: Path) -> None:
    done = armorm("doctor", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    cpu = found["devices"][0]
    assert cpu["name"] == "cpu"
    assert all(rate > 0.1 for rate in cpu["matmul_gflops"].values())
    assert cpu["memory_bytes"] > 1 << 28
    assert str(tmp_path / "features") in found["disks"]
    assert found["extras"]["server"]["version"]
    shown = armorm("doctor", folder=tmp_path)
    assert "matrix products in GFLOP/s" in shown.stdout


def test_every_extra_for_users_is_shown_with_a_package_of_its_own() -> None:
    offered = extras()
    assert set(offered) == set(EXTRAS)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(declared) - {"benchmarks", "dev"} == set(EXTRAS)
    for name, (package, _) in EXTRAS.items():
        assert package in {Requirement(line).name for line in declared[name]}


def test_a_good_machine_has_noremarks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remarks(monkeypatch, replace(HERE, devices=(*HERE.devices, GPU))) == ""


def test_what_would_be_slow_is_said_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Device("cpu", 1 << 34, {"float32": 100.0, "bfloat16": 10.0})
    told = remarks(monkeypatch, replace(HERE, devices=(slow,), compiler=None, disks={"/small": 10**9}))
    assert "there is no CUDA device: a million tokens take a backbone of 135 million weights at least 45 min" in told
    assert "one of 8 billion 44.4 hours" in told
    assert "bfloat16 is slower than float32 on this processor (10 and 100 GFLOP/s): set backbone.dtype" in told
    assert "there is no C++ compiler" in told
    assert "the disk of /small has 1.0 GB free" in told
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = "\n".join(doctor.remarks(HERE))
    assert "OMP_NUM_THREADS is 1, and there are 2 cores" in told
    assert "HF_HUB_OFFLINE is set" in told
