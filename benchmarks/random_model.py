"""A folder as `armorm export` writes it, with random weights, to measure a server without a checkpoint.

python -m benchmarks.random_model /tmp/model --shape llama-3-8b
python -m benchmarks.serve /tmp/model/model
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from transformers import AutoConfig

from benchmarks.extract_ways import LLAMA_3_8B, TINY, RandomBackbone
from export.folder import Exported, write_folder
from export.reward_config import RewardConfig
from extract.backbone import read_backbone
from extract.settings import BackboneSettings
from gating.gate import Gate
from gating.reward import RewardParts
from gating.settings import NO_VERBOSITY, GateSettings
from gating.transform import Transform
from heads.objectives import PUBLISHED_OBJECTIVES

MAX_TOKENS = 4096


def write(out: Path, shape: str) -> None:
    """Write the backbone to `out`/backbone and the reward model to `out`/model, which links to it."""
    config, dtype = LLAMA_3_8B, "bfloat16"
    if shape == "tiny":
        config, dtype = AutoConfig.from_pretrained(TINY), "float32"
        config.max_position_embeddings = MAX_TOKENS
    random = RandomBackbone(config, dtype)
    folder = out / "backbone"
    folder.mkdir(parents=True)
    save_file(
        {f"model.{name}": weight for name, weight in random.model.state_dict().items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    random.model.config.save_pretrained(folder)
    random.tokenizer.save_pretrained(folder)
    settings = BackboneSettings.model_validate({"model": str(folder), "dtype": dtype, "max_tokens": MAX_TOKENS})
    backbone = read_backbone(folder, "random", settings)
    names = tuple(objective.name for objective in PUBLISHED_OBJECTIVES)
    weight = np.random.default_rng(0).standard_normal((len(names), backbone.hidden_size)) / backbone.hidden_size**0.5
    gate = Gate(backbone.hidden_size, len(names), GateSettings()).requires_grad_(False).eval()
    parts = RewardParts(names, weight.astype(np.float32), Transform(np.zeros((len(names), len(names)))), gate)
    reward = RewardConfig(
        objectives=names, verbosity=NO_VERBOSITY, max_tokens=MAX_TOKENS, dtype=dtype, backbone="random"
    )
    write_folder(out / "model", Exported(backbone, reward, parts, {}, "Random weights.\n"), "link")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--shape", choices=["tiny", "llama-3-8b"], default="tiny")
    arguments = parser.parse_args()
    write(arguments.out, arguments.shape)


if __name__ == "__main__":
    main()
