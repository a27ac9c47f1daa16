"""A reward model as other software serves it: a decoder with one linear head, in transformers' own class.

python -m benchmarks.random_model /tmp/random --shape tiny
python -m benchmarks.plain_classifier /tmp/random/model /tmp/random/classifier

The folder has the backbone and the tokenizer of a folder that `armorm export` wrote, and the head of one of its
objectives as `score.weight`. Its number for a conversation is that objective's raw reward, which the exported folder
gives too: so answers can be compared. It is less work than a score, which takes all objectives' heads, the gate, and
the features at the end of the prompt.
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from export.model_folder import PUBLISHED_NUMBERS
from export.reward_config import SECTION, backbone_settings, read_config
from export.reward_tensors import read_reward_parts
from extract.backbone import read_backbone


def write(folder: Path, out: Path, objective: str | None = None) -> str:
    """Write the classifier of one objective.

    Args:
        folder: a folder that `armorm export` wrote, with a backbone for which transformers has a class
            `…ForSequenceClassification` with a head `score` of one matrix, as for Llama, Qwen and Mistral.
        out: new folder.
        objective: name of the objective; None: the first.

    Returns:
        Name of the objective.
    """
    config, gate = read_config(folder)
    settings = backbone_settings(folder, config, {})
    backbone = read_backbone(folder, config.backbone or str(folder), settings)
    parts = read_reward_parts(folder, config, gate, backbone.hidden_size)
    name = objective or parts.objectives[0]
    decoder = backbone.load(settings, torch.device("cpu"), None)
    for key in (SECTION, "auto_map", *PUBLISHED_NUMBERS):
        if hasattr(decoder.config, key):  # nothing says any more that this was a reward model with a class of its own
            delattr(decoder.config, key)
    decoder.config.num_labels = 1
    decoder.config.problem_type = "regression"  # no activation: neither in transformers' pipeline nor in vLLM
    decoder.config.pad_token_id = backbone.tokenizer.pad_token_id
    model = AutoModelForSequenceClassification.from_config(decoder.config, dtype=getattr(torch, settings.dtype))
    model.base_model.load_state_dict(decoder.state_dict())
    weight = torch.from_numpy(parts.weight[parts.objectives.index(name)])  # (d,)
    model.score.weight.data.copy_(weight[None])
    model.save_pretrained(out)
    backbone.tokenizer.save_pretrained(out)
    return name


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that `armorm export` wrote")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--objective", default=None, help="by default the first")
    arguments = parser.parse_args()
    print(write(arguments.folder, arguments.out, arguments.objective))


if __name__ == "__main__":
    main()
