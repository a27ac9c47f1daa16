"""Scores of an exported folder in a process of its own: `python folder_scores.py FOLDER < request.json > scores.json`.

Nothing of this project is imported. The folder's own class runs, as transformers gives it to anybody, so a family that
transformers cannot run here, a crash, or too little memory is a fact about the folder and not about the command.
"""

import json
import sys
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging


def scores(
    folder: str, conversations: list[list[dict[str, str]]], dtype: str, device: str
) -> list[dict[str, list[Any]]]:
    """Scores and standard errors of the conversations in one batch, padded on the left and then on the right."""
    transformers_logging.set_verbosity_error()
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=True, local_files_only=True, dtype=getattr(torch, dtype)
    )
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = model.eval().to(device)
    results = []
    for side in ("left", "right"):
        tokenizer.padding_side = side
        batch = tokenizer.apply_chat_template(conversations, padding=True, return_tensors="pt", return_dict=True)
        inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            output = model(**inputs)
        errors: Any = (
            [] if output.score_std is None else torch.cat([output.reward_std, output.score_std[:, None]], dim=-1)
        )
        results.append(
            {"scores": output.logits[:, 0].double().tolist(), "errors": [one.double().tolist() for one in errors]}
        )
    return results


if __name__ == "__main__":
    answer = scores(sys.argv[1], **json.load(sys.stdin))
    json.dump(answer, sys.stdout)
