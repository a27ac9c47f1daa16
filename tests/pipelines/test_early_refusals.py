"""Refusals that need no model come before torch and transformers are imported, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.reference import commands
from tests.pipelines.conftest import ROOT

WITH_A_RECIPE = [
    name.removeprefix("armorm ")
    for name, command in commands()
    if any("--recipe" in part.opts for part in command.params)
]
NEEDED = {
    "explain": "--prompt a --response b",
    "score-suite": "--scorer hf:x",
    "export": "--out x",
    "suggest": "--input rows.jsonl",
    "personalise": "--pairs rows.jsonl",
}
"""Options that a command asks for beside the recipe."""

REFUSED = {
    **{
        f"{name} --recipe nowhere.toml {NEEDED.get(name, '')}".strip(): "there is no recipe nowhere.toml"
        for name in WITH_A_RECIPE
    },
    "serve nowhere": "there is no nowhere/config.json",
    "serve other": "other/config.json is not that of an ArmoRM reward model",
    "serve damaged": "damaged/config.json is damaged",
    "serve model --host 192.0.2.1": "can be reached from other machines",
    "serve model --token-file nowhere": "--token-file: nowhere cannot be read",
    "serve model --port {port}": "port {port} of 127.0.0.1 is in use",
    "serve model --pack-tokens 1": "--pack-tokens: ",
    "score nowhere --prompt a --response b": "there is no nowhere/config.json",
    "score other --input rows.jsonl --output -": "other/config.json is not that of an ArmoRM reward model",
    "score model --prompt a": "score needs conversations: give --prompt and --response, or --input and --output",
    "score model --input nowhere --output out.jsonl": "there is no file nowhere",
    "score model --input rows.jsonl --output rows.jsonl/x": "--output rows.jsonl/x cannot be made",
    "score model --input rows.jsonl --output mine.jsonl": "was not written by `armorm score`",
    "score model --input rows.jsonl --output out.tsv": "--output out.tsv ends in .tsv, which is not written",
    "score model --prompt a --response b --profile nowhere.toml": "nowhere.toml cannot be read",
    "score model --prompt a --response b --weight x": "--weight: 'x' is no weight: write OBJECTIVE=VALUE",
    "explain nowhere --prompt a --response b": "there is no nowhere/config.json",
    "explain model --prompt a --response b --profile rows.jsonl/x": "rows.jsonl/x cannot be read",
    "explain --prompt a --response b": "explain needs a model",
    "explain --recipe demo.toml --prompt a --response b": "there is no runs/demo/extract.json: run `armorm",
    "personalise --recipe demo.toml --pairs rows.jsonl": "there is no runs/demo/extract.json: run `armorm",
    "personalise nowhere --pairs rows.jsonl": "there is no nowhere/config.json",
    "personalise model --pairs nowhere": "there is no file nowhere: name one with --pairs",
    "personalise model --pairs rows.jsonl --out rows.jsonl/x": "--out rows.jsonl/x cannot be made",
    "personalise model --pairs rows.jsonl --name 'my taste'": "the profile of these pairs: name: ",
    "serve model": "armorm serve needs uvicorn, which is not installed: run `pip install",
}
"""Arguments of a command -> what it says; the last one where uvicorn is not installed."""

PROGRAM = """
import contextlib, io, json, os, shlex, socket, sys
from pipelines.cli import main
told = []
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = str(taken.getsockname()[1])
    for line in json.load(sys.stdin):
        if line == "serve model":
            for name in [name for name in sys.modules if name.partition(".")[0] == "uvicorn"]:
                del sys.modules[name]
            sys.modules["uvicorn"] = None
        sys.argv = ["armorm", *shlex.split(line.replace("{port}", port))]
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = ended.code
        imported = sorted({"torch", "transformers"} & sys.modules.keys())
        told.append([code, errors.getvalue().replace(port, "{port}"), imported])
        if imported:
            break
print(json.dumps(told))
"""


def test_a_refusal_imports_neither_torch_nor_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARMORM_TOKEN", raising=False)
    numbers = dict.fromkeys(("num_objectives", "gating_temperature", "gating_hidden_dim", "gating_n_hidden"), 1)
    for folder, text in (("model", json.dumps(numbers)), ("other", '{"model_type": "llama"}'), ("damaged", "{")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(text)
    (tmp_path / "demo.toml").write_text((ROOT / "recipes" / "demo.toml").read_text())
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    (tmp_path / "mine.jsonl").write_text("precious\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(list(REFUSED)),
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    for (line, sentence), (code, error, imported) in zip(REFUSED.items(), told, strict=False):
        assert code == 2, (line, error)
        assert sentence in error, line
        assert error.startswith("error: "), line
        assert not imported, line
    assert len(told) == len(REFUSED)
