"""A folder as `armorm export` writes it, with random weights, to measure a server without a checkpoint.

python -m benchmarks.random_model /tmp/model --shape llama-3-8b
python -m benchmarks.serve /tmp/model/model
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from transformers import AutoConfig

from benchmarks.random_backbone import LLAMA_3_8B, SMOLLM2_135M, TINY, RandomBackbone
from export.folder import Exported, write_folder
from export.reward_config import run_config
from extract.backbone import read_backbone
from extract.settings import BackboneSettings
from gating.gate import Gate
from gating.reward import RewardParts
from gating.settings import GateSettings
from gating.transform import Transform
from heads.objectives import PUBLISHED_OBJECTIVES
from heads.ridge.uncertainty import PERCENTILES, Uncertainty
from heads.ridge.whitening import rows_of

MAX_TOKENS = 4096

FACTORS = 7
"""Patterns of rated objectives of the published recipe's eight rating sets; each has a factor of its own."""


def write(out: Path, shape: str) -> None:
    """Write the backbone to `out`/backbone and the reward model to `out`/model, which links to it."""
    config, dtype = LLAMA_3_8B, "bfloat16"
    if shape == "tiny":
        config, dtype = AutoConfig.from_pretrained(TINY), "float32"
        config.max_position_embeddings = MAX_TOKENS
    elif shape == "smollm2-135m":
        config, dtype = SMOLLM2_135M, "float32"
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
    uncertainty = random_uncertainty(backbone.hidden_size, len(names))
    transform = Transform(np.zeros((len(names), len(names))))
    parts = RewardParts(names, weight.astype(np.float32), transform, gate, uncertainty)
    reward = run_config(parts, {}, settings, backbone)
    write_folder(out / "model", Exported(backbone, reward, parts, {}, "Random weights.\n"), "link")


def random_uncertainty(d: int, k: int) -> Uncertainty:
    """An uncertainty as large as a fit's, with random numbers: d features, k objectives."""
    rng = np.random.default_rng(1)
    whitening = rng.standard_normal((FACTORS, rows_of(d), d), dtype=np.float32) * np.float32(1 / d)
    quantiles = np.tile(np.linspace(0.0, 2.0, PERCENTILES), (FACTORS, 1))
    thresholds = np.full(FACTORS, 1.0)
    return Uncertainty(whitening, np.arange(k) % FACTORS, np.eye(k), quantiles, thresholds, quantile=0.99)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--shape", choices=["tiny", "smollm2-135m", "llama-3-8b"], default="tiny")
    arguments = parser.parse_args()
    write(arguments.out, arguments.shape)


if __name__ == "__main__":
    main()
