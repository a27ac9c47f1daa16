"""Writing a reward model as a folder that transformers loads by itself."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import UserError
from cache.durable import TEMPORARY, sync_folder
from export import modeling_armorm
from export.reward_config import SECTION, RewardConfig
from export.reward_tensors import reward_tensors
from export.weights import Weights, write_weights
from extract import style
from extract.backbone import Backbone
from extract.configuration import whole_configuration
from extract.records import Message
from extract.special_tokens import padding_token
from extract.template.bos import added_bos
from extract.template.rendering import render
from gating.reward import RewardParts

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
)

MACHINES_OWN = ("attn_implementation", "experts_implementation")
"""Keys of a configuration that name the kernels of one machine; transformers may fetch those that it does not have."""

FILES_OWN = ("_model_name_or_path", "_name_or_path", "quantization_config")
"""Keys of a configuration that tell of the file that it was read from."""

MODEL_CLASS = modeling_armorm.ArmoRewardModel.__name__


@dataclass(frozen=True, slots=True)
class Exported:
    """The content of a folder."""

    backbone: Backbone
    config: RewardConfig
    parts: RewardParts
    provenance: dict[str, Any]
    """Content of provenance.json: recipe, fingerprint, measurements."""
    card: str
    """Text of README.md."""


def write_folder(out: Path, model: Exported, weights: Weights, check: Callable[[Path], None] = lambda _: None) -> int:
    """Write a temporary folder, check it, and rename it to `out`: the result is a whole folder or none.

    An earlier export in `out` is replaced; any other content is not touched.

    Args:
        out: the folder.
        model: its content.
        weights: whether the backbone's weights are copied or linked.
        check: takes the folder before it is renamed, and raises if it is not as it should be.

    Returns:
        Size of all weights in bytes.

    Raises:
        UserError: `out` holds something else, or the backbone's weights cannot be copied or linked.
    """
    out = out.absolute()
    _refuse_another(out)
    partial = out.with_name(out.name + TEMPORARY)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        size = write_weights(
            model.backbone, partial, reward_tensors(model.parts), weights, model.config.dtype or "float32"
        )
        _write_tokenizer(model.backbone, partial, _padding(model))
        _write_json(partial / "config.json", _config(model))
        _write_json(partial / "provenance.json", model.provenance)
        (partial / "modeling_armorm.py").write_text(_modeling(model.backbone.family), encoding="utf-8")
        (partial / "README.md").write_text(model.card, encoding="utf-8")
        check(partial)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(out.parent)
    return size


def _refuse_another(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.is_dir():
        try:
            earlier = SECTION in json.loads((out / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            earlier = False
        if earlier:
            return
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there and was not written by `armorm export`: name another folder with --out")


def _config(model: Exported) -> dict[str, Any]:
    """The backbone's config.json with the reward model's keys added."""
    values = _own_config(model.backbone)
    gate, padding = model.parts.gate, _padding(model)
    return (
        {key: value for key, value in values.items() if not key.lstrip("_").startswith(MACHINES_OWN)}
        | _for_older_transformers(values)
        | {
            "architectures": [MODEL_CLASS],
            "auto_map": {"AutoModelForSequenceClassification": f"modeling_armorm.{MODEL_CLASS}"},
            "dtype": model.config.dtype,
            "torch_dtype": model.config.dtype,  # what `dtype` was called before transformers 4.56
            "pad_token_id": model.backbone.tokenizer.convert_tokens_to_ids(padding),
            "id2label": {"0": "score"},
            "label2id": {"score": 0},
            "num_objectives": len(model.config.objectives),
            "gating_temperature": gate.temperature,
            "gating_hidden_dim": gate.layers[0].out_features if len(gate.layers) > 1 else 1,
            "gating_n_hidden": len(gate.layers) - 1,
            SECTION: model.config.model_dump(mode="json"),
        }
    )


def _own_config(backbone: Backbone) -> dict[str, Any]:
    """The content of the backbone's config.json, or what it would be."""
    if backbone.gguf_file is None:
        values: dict[str, Any] = json.loads((backbone.folder / "config.json").read_text(encoding="utf-8"))
        if "text_config" not in values:
            return values
    # A GGUF file, or a model that also takes images, of which only the language part is used.
    values = whole_configuration(backbone.folder, gguf_file=backbone.gguf_file).get_text_config().to_dict()
    return {key: value for key, value in values.items() if key not in FILES_OWN}


def _for_older_transformers(values: dict[str, Any]) -> dict[str, Any]:
    """`rope_parameters` of transformers 5, under the keys that version 4 reads."""
    rope = values.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope or "rope_theta" in values:
        return {}
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    older: dict[str, Any] = {"rope_theta": rope["rope_theta"]}
    return older if scaling.get("rope_type", "default") == "default" else older | {"rope_scaling": scaling}


def _padding(model: Exported) -> str | None:
    """The token that pads batches; masked, it is never read.

    Where the template writes tokens after the closing one, none of its tokens pads: without a mask, the end of the text
    could not be told from padding.
    """
    backbone, config = model.backbone, model.config
    avoid = (*config.trailing, *config.prompt_end) if config.trailing else ()
    return padding_token(backbone.tokenizer, backbone.vocabulary, avoid)


def _write_tokenizer(backbone: Backbone, out: Path, padding: str | None) -> None:
    """Copy the backbone's files, and write the chat template in use to both places where readers look for it."""
    for name in TOKENIZER_FILES if backbone.gguf_file is None else ():
        if (backbone.folder / name).is_file():
            shutil.copyfile(backbone.folder / name, out / name)
    if backbone.gguf_file is not None:
        backbone.tokenizer.save_pretrained(out)
    if not (out / "tokenizer.json").is_file():  # transformers converted another format when it read the tokenizer
        backbone.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    template = _template(backbone)
    settings["chat_template"] = template
    if settings.get("tokenizer_class") in (None, "TokenizersBackend"):  # transformers 5's name for it
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if backbone.tokenizer.pad_token != padding:
        settings["pad_token"] = padding
        _replace_padding(out / "special_tokens_map.json", padding)
    _write_json(path, settings)
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")


def _template(backbone: Backbone) -> str:
    """The chat template in use, which also writes the BOS that the tokenizer puts in front of a text by itself.

    Features are read after that BOS, and `apply_chat_template` lets the tokenizer add nothing.
    """
    tokenizer: Any = backbone.tokenizer
    template: str = tokenizer.chat_template
    if added_bos(tokenizer) is None:
        return template
    text = render(tokenizer, (Message("user", "Hello"),))
    return template if text.startswith(tokenizer.bos_token) else "{{- bos_token }}" + template


def _replace_padding(path: Path, padding: str | None) -> None:
    """Earlier versions of transformers read it from here."""
    if path.is_file():
        _write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"pad_token": padding})


def _modeling(family: str) -> str:
    """Text of the modeling file, with the configuration class of this family and the counts of style in it."""
    source = Path(modeling_armorm.__file__).read_text(encoding="utf-8")
    for line, own in (
        (f'MODEL_TYPE = "{modeling_armorm.MODEL_TYPE}"', f"MODEL_TYPE = {json.dumps(family)}"),
        ("from extract.style import STYLE, style_counts", Path(style.__file__).read_text(encoding="utf-8").rstrip()),
    ):
        assert source.count(line) == 1
        source = source.replace(line, own)
    return source


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
