"""A folder from elsewhere is held against its tensors, and refused by one sentence that says what does not fit."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cache import UserError
from export.reward_model import RewardModel
from export.server.run import serve
from export.server.settings import ServerSettings
from tests.export.conftest import SEVERAL
from tests.export.hostile_folder import HEADS, copied, outcome

NAN, INF = float("nan"), float("inf")


def refusal(folder: Path) -> str:
    told = outcome(folder)
    assert isinstance(told, str), f"it was loaded: {told}"
    return told


def test_the_folder_itself_is_loaded(small_export: Path, tmp_path: Path) -> None:
    told = outcome(copied(small_export, tmp_path / "same"))
    assert isinstance(told, list)
    assert told == [one.score for one in RewardModel.load(small_export).score(SEVERAL)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden_size": 10**12}, "3 × 32, and config.json there asks for 3 × 1000000000000"),
        ({"hidden_size": "many"}, "hidden_size"),
        ({"hidden_size": -32}, "hidden_size"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": 33}, "33"),
        ({"hidden_size": None}, "hidden_size"),
        ({"vocab_size": 2**40}, "asks for [0-9,]+ weights"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"vocab_size": [8192]}, "vocab_size"),
        ({"num_attention_heads": 0}, "ZeroDivisionError|num_attention_heads|fetch"),
        ({"num_attention_heads": -4}, "."),
        ({"num_attention_heads": "four"}, "num_attention_heads"),
        ({"num_key_value_heads": 0}, "."),
        ({"num_key_value_heads": 3}, "."),
        ({"head_dim": -8}, "."),
        ({"head_dim": 7}, "."),
        ({"head_dim": "eight"}, "head_dim"),
        ({"intermediate_size": -1}, "."),
        ({"intermediate_size": 10**13}, "asks for [0-9,]+ weights"),
        ({"intermediate_size": 49}, "48.*49"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": -1}, "num_hidden_layers"),
        ({"num_hidden_layers": 4}, "layers.3"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1,000,000,000,000"),
        ({"num_hidden_layers": 10**12, "model_type": "qwen2"}, "num_hidden_layers is 1,000,000,000,000"),
        ({"text_config": {"num_hidden_layers": 10**12}, "model_type": "gemma3"}, "num_hidden_layers is 1,000,"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "."),
        ({"quantization_config": 5}, "."),
        ({"hidden_act": "evil"}, "evil"),
        ({"rms_norm_eps": "x"}, "rms_norm_eps"),
        ({"rope_parameters": {"rope_type": "evil"}}, "."),
        ({"model_type": "evil"}, "evil"),
        ({"model_type": ["llama"]}, "."),
        ({"num_objectives": 10**12}, "num_objectives is 1000000000000, and regression_layer.weight has 3 rows"),
        ({"num_objectives": 10**12, "armorm": {}}, "num_objectives is 1000000000000"),
        ({"num_objectives": True}, "num_objectives"),
        ({"num_objectives": "\ud83d"}, r"num_objectives is '\\ud83d'"),
        ({"gating_hidden_dim": 10**12}, "not as wide or deep"),
        ({"gating_hidden_dim": 10**30}, "."),
        ({"gating_n_hidden": 10**6}, "not as wide or deep"),
        ({"gating_n_hidden": 10**12}, "not as wide or deep"),
        ({"gating_n_hidden": -1}, "hidden_layers"),
        ({"gating_temperature": 0}, "temperature"),
        ({"gating_temperature": NAN}, "temperature"),
        ({"gating_temperature": 1e-300}, "conversation 0 .*not finite is its weight"),
        ({"armorm": []}, "armorm|dictionary"),
        ({"torch_dtype": {}, "dtype": {}}, "."),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    small_export: Path, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    if "dtype" in values:
        values = values | {"armorm": {}}
    told = refusal(copied(small_export, tmp_path / "changed", config=lambda own: own.update(values)))
    assert re.search(said, told), told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"verbosity": "nobody"}, "'nobody' is none of the objectives"),
        ({"verbosity": "\ud83d"}, r"'\\ud83d' is none of the objectives"),
        ({"verbosity": "response_tokens"}, "length_penalty is missing"),
        ({"verbosity": ["long", "lists"]}, "lists_penalty is missing"),
        ({"verbosity": ["long", "nobody"]}, "'nobody' is none of the objectives"),
        ({"verbosity": ["long", "long"]}, "names 'long' twice"),
        ({"verbosity": ["long", "none"]}, "'none' takes nothing out and stands alone"),
        ({"verbosity": []}, "it is an empty list"),
        ({"verbosity": [7]}, "neither the name of a variable nor a list"),
        ({"objectives": ["kind", "kind", "long"]}, "'kind' is the name of two objectives"),
        ({"objectives": ["kind", "\ud83d", "long"]}, r"'\\ud83d' is no name that can be shown"),
        ({"objectives": ["kind", "\x1b[2J", "long"]}, "is no name that can be shown"),
        ({"objectives": ["kind", " ", "long"]}, "is no name that can be shown"),
        ({"objectives": ["kind", "long"]}, "2 names for 3 objectives"),
        ({"objectives": "kind"}, "objectives"),
        ({"max_tokens": 10**12}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"layers": []}, "layers"),
        ({"layers": [-1, -1]}, "layers"),
        ({"layers": [10**12]}, "layers is 1,000,000,000,000"),
        ({"layers": [-1, 0]}, "3 × 32.* 3 × 64"),
        ({"scales": {"kind": {"low": 4, "high": 0}}}, "below high"),
        ({"scales": {"kind": {"low": NAN, "high": 0}}}, "scales"),
        ({"prompt_end_offset": 10**6}, "beyond the end"),
        ({"prompt_end": [-1]}, "prompt_end"),
        ({"trailing": [2**40]}, "trailing"),
        ({"features": 0}, "features"),
        ({"features": 33}, "features"),
        ({"dtype": "evil"}, "dtype"),
        ({"engine": "evil"}, "engine"),
        ({"vocabulary": "0" * 64}, "other tokens than when the folder was exported"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    small_export: Path, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    told = refusal(copied(small_export, tmp_path / "changed", config=lambda own: own["armorm"].update(values)))
    assert re.search(said, told), told


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 50_000, "\ud83d", "9" * 5000, "", "{", "null", "[1]", "NaN"]
)
def test_a_damaged_configuration_is_refused(small_export: Path, tmp_path: Path, content: str) -> None:
    folder = copied(small_export, tmp_path / "changed")
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert "config.json" in refusal(folder)


HEAD_NAMES = (
    "regression_layer.weight",
    "reward_transform_matrix",
    "gating.logit_scale",
)


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_heads_that_are_not_what_they_should_be_are_refused(small_export: Path, tmp_path: Path, name: str) -> None:
    def changed(number: int, **tensors: torch.Tensor | None) -> str:
        def change(held: dict[str, torch.Tensor]) -> None:
            for key, value in tensors.items():
                held.pop(key) if value is None else held.update({key: value})

        return refusal(copied(small_export, tmp_path / str(number), heads=change))

    whole = load_file(small_export / HEADS)[name]
    for number, value in enumerate((NAN, INF, -INF)):
        spoilt = whole.clone()
        spoilt.view(-1)[-1] = value
        assert f"{name} in " in (told := changed(number, **{name: spoilt}))
        assert "not finite" in told
    too_large = whole.double().clone()
    too_large.view(-1)[0] = 1e300
    assert "not finite" in changed(3, **{name: too_large})
    for number, dtype in enumerate((torch.int8, torch.bool, torch.int64, torch.complex64), start=4):
        assert "not one of F32, F64, F16, BF16" in changed(number, **{name: whole.to(dtype)})
    assert "export or fetch" in changed(8, **{name: torch.cat([whole, whole])})
    assert "export or fetch" in changed(9, **{name: whole[:0]})
    assert "export or fetch" in changed(10, **{name: torch.tensor(1.0)})
    assert "export or fetch" in changed(11, **{name: None})
    assert "not as wide or deep" in changed(12, **{"gating.evil": whole.clone()})


def test_a_tensor_in_two_files_is_refused_by_both_names(small_export: Path, tmp_path: Path) -> None:
    folder = copied(small_export, tmp_path / "changed")
    tensor = load_file(folder / HEADS)["regression_layer.weight"]
    save_file({"regression_layer.weight": torch.zeros_like(tensor)}, folder / "zz.safetensors", {"format": "pt"})
    told = refusal(folder)
    assert "regression_layer.weight is in" in told
    assert HEADS in told
    assert "zz.safetensors" in told


def test_a_result_that_is_not_finite_is_no_score_and_is_named(small_export: Path, tmp_path: Path) -> None:
    """All tensors are finite; their products are not."""

    def rewards(held: dict[str, torch.Tensor]) -> None:
        held["regression_layer.weight"] = torch.full_like(held["regression_layer.weight"], 3e38)

    def weights(held: dict[str, torch.Tensor]) -> None:
        held["gating.layers.0.bias"] = torch.full_like(held["gating.layers.0.bias"], 3e38)
        held["gating.layers.1.weight"] = torch.full_like(held["gating.layers.1.weight"], 1e10)

    for name, change in (("reward", rewards), ("weight", weights)):
        folder = copied(small_export, tmp_path / name, heads=change)
        with pytest.raises(UserError, match=rf"no score for a plain question and answer \(a value .* its {name}\)"):
            serve(folder, ServerSettings(port=0))
        told = refusal(folder)
        assert f"conversation 0 cannot be scored: a value that is not finite is its {name}" in told


def test_attention_of_a_hub_never_reaches_transformers(
    small_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def kernel(name: str, *_: object, **__: object) -> None:
        asked.append(name)

    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", kernel)
    expected = outcome(copied(small_export, tmp_path / "same"))
    cases: list[tuple[Any, str]] = [
        ("evil/kernel", "packed"),
        ("evil/kernel", "padded"),
        ("evil/kernel@main:attend", "sequential"),
        ("flash_attention_2", "sequential"),
        ({"": "evil/kernel"}, "padded"),
    ]
    for number, (name, engine) in enumerate(cases):

        def change(own: dict[str, Any], name: Any = name, engine: str = engine) -> None:
            own |= {"_attn_implementation": name, "attn_implementation": name}
            own |= {"_attn_implementation_internal": name, "_experts_implementation": name}
            own["armorm"]["engine"] = engine

        told = outcome(copied(small_export, tmp_path / str(number), config=change))
        assert told == pytest.approx(expected, rel=1e-4)
    assert asked == []


def test_a_tokenizer_with_other_tokens_is_refused(small_export: Path, tmp_path: Path) -> None:
    folder = copied(small_export, tmp_path / "changed")
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    names = list(values["model"]["vocab"])
    one, other = names[-1], names[-2]
    vocabulary = values["model"]["vocab"]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(values))
    assert "the tokenizer in" in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["armorm"]["vocabulary"]  # as in folders of earlier versions
    (folder / "config.json").write_text(json.dumps(config))
    assert isinstance(outcome(folder), list)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../outside.safetensors", "a/b.safetensors", "", ".", 5, None, "x.bin"]
)
def test_an_index_that_leads_elsewhere_is_refused(small_export: Path, tmp_path: Path, name: Any) -> None:
    shutil.copy(small_export / HEADS, tmp_path / "outside.safetensors")
    folder = copied(small_export, tmp_path / "changed")
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.norm.weight"] = name
    path.write_text(json.dumps(index))
    assert "index.json" in refusal(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[" * 100_000),
        ("tokenizer_config.json", "[]"),
        ("chat_template.jinja", "{{ 1/0 }}"),
        ("chat_template.jinja", "{% for i in range(10**9) %}{% endfor %}"),
        ("chat_template.jinja", "{" * 100_000),
        ("model.safetensors.index.json", "[]"),
        ("model.safetensors.index.json", "{"),
        ("zz.safetensors", "\x00"),
        (HEADS, ""),
    ],
)
def test_a_damaged_file_is_refused(small_export: Path, tmp_path: Path, file: str, content: str) -> None:
    folder = copied(small_export, tmp_path / "changed")
    (folder / file).write_text(content)
    named = "the chat template refuses it" if file == "chat_template.jinja" else str(folder)
    assert named in refusal(folder)


def test_a_folder_in_a_files_place_is_refused(small_export: Path, tmp_path: Path) -> None:
    for number, file in enumerate(("config.json", "tokenizer.json", HEADS, "zz.safetensors")):
        folder = copied(small_export, tmp_path / str(number))
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()
        assert str(folder) in refusal(folder)


def test_a_template_that_fails_for_some_content_fails_for_that_row_alone(small_export: Path, tmp_path: Path) -> None:
    folder = copied(small_export, tmp_path / "changed")
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text() + "{{ 1 / 0 if 'boom' in messages[0]['content'] }}")
    model = RewardModel.load(folder, device="cpu")
    boom = [{"role": "user", "content": "boom"}, SEVERAL[0][1]]
    first, second, third = model.score_each([SEVERAL[0], boom, SEVERAL[1]])
    assert "division by zero" in str(second)
    expected = RewardModel.load(small_export, device="cpu").score(SEVERAL[:2])
    assert [one.score for one in (first, third)] == pytest.approx([one.score for one in expected])  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"conversation 1 .*division by zero"):
        model.score([SEVERAL[0], boom])
