"""Run by test_consumers.py where a current TRL is installed: objectives of an exported folder as rewards of GRPO."""

import json
import sys
import tempfile
from typing import Any

import transformers
import trl
from datasets import Dataset
from transformers import AutoTokenizer

from export.reward_model import RewardModel
from export.rewards import reward_functions
from tests.export.rewards.counting import counted_passes

CONVERSATIONAL = [{"prompt": [{"role": "user", "content": text}]} for text in ("Hello", "Add 2 and 2.")]
TEXTS = [{"prompt": text} for text in ("Once upon a time", "The sum of 2 and 2")]


def trained(model: RewardModel, rows: list[dict[str, Any]], policy: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Two steps of TRL's GRPO trainer: batches, passes of the reward model's backbone, and means as TRL logs them."""
    batches: list[dict[str, Any]] = []

    def seen(prompts: Any, completions: Any, **_columns: Any) -> list[None]:
        batches.append({"prompts": prompts, "completions": completions})
        return [None] * len(prompts)

    functions = reward_functions(model, **asked)
    with tempfile.TemporaryDirectory() as out, counted_passes(model) as passes:
        settings = trl.GRPOConfig(
            output_dir=out,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=8,
            max_steps=2,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            multi_objective_aggregation="normalize_then_sum",
            reward_weights=[1.0] * len(functions) + [0.0],
        )
        trainer = trl.GRPOTrainer(
            model=policy,
            reward_funcs=[*functions, seen],
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(policy),
        )
        trainer.train()
    logged = [step for step in trainer.state.log_history if "reward" in step]
    means = [{name: step[f"rewards/{name}/mean"] for name in asked["objectives"]} for step in logged]
    return {"batches": batches, "passes": passes, "means": means, "rewards": [step["reward"] for step in logged]}


def main(folder: str, policy: str, asked: str) -> None:
    """Print what TRL makes of the rewards."""
    model = RewardModel.load(folder, device="cpu")
    given = json.loads(asked)
    told = {"trl": trl.__version__, "transformers": transformers.__version__}
    told |= {kind: trained(model, rows, policy, given) for kind, rows in (("turns", CONVERSATIONAL), ("texts", TEXTS))}
    print("told " + json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
