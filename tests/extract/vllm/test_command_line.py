"""`armorm extract --engine vllm`, with vLLM's scheduler and worker in processes of their own, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cache import FeatureStore
from cache.keys import as_keys
from tests.pipelines.conftest import ROOT, small_recipe

SETTINGS = """
[extract.vllm]
kv_cache_memory_bytes = 67108864
enforce_eager = true
"""


def extract(folder: Path, engine: str) -> dict[str, Any]:
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    arguments = ["extract", "--recipe", f"{engine}.toml", "--limit", "6", "--engine", engine, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unexpectedly" not in done.stderr, done.stderr  # vLLM ended in order, not by a thread that noticed
    result: dict[str, Any] = json.loads(done.stdout)  # vLLM writes nothing there
    return result


def test_the_command_fills_a_store_with_the_features_that_the_packed_engine_gives(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "demo-corpus", "--out", "data/demo", "--scale", "0.05"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    recipe = small_recipe((ROOT / "recipes" / "demo.toml").read_text()).replace(
        "[store]", SETTINGS + '\n[store]\ndtype = "float32"'
    )
    recipe = recipe.replace("max_tokens = 2048", "max_tokens = 128")  # so that some rows are too long
    results = {}
    for engine in ("packed", "vllm"):
        (tmp_path / f"{engine}.toml").write_text(recipe.replace('name = "demo"', f'name = "{engine}"'))
        results[engine] = extract(tmp_path, engine)
    packed, vllm = (
        FeatureStore.open(tmp_path / "features", results[engine]["fingerprint"]) for engine in ("packed", "vllm")
    )
    assert packed.folder != vllm.folder
    assert results["vllm"]["features_new"] == results["packed"]["features_new"] > 100
    assert results["vllm"]["skipped"] == results["packed"]["skipped"] > 0
    keys = as_keys(sorted(_keys(packed)))
    assert sorted(_keys(vllm)) == sorted(_keys(packed))
    got, expected = vllm.gather(keys)[:, 0], packed.gather(keys)[:, 0]  # (n, d)
    error = np.linalg.norm(got - expected, axis=-1) / np.linalg.norm(expected, axis=-1)  # (n,)
    assert error.max() < 1e-5


def _keys(store: FeatureStore) -> list[bytes]:
    return pl.read_parquet(store.folder / "shards" / "*.parquet", columns=["key"])["key"].to_list()
