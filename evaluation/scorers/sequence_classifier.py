"""Any reward model that transformers loads as a sequence classifier of one output: `logits[:, 0]` is its score.

The text is the tokenizer's chat template with exactly one BOS. No code of the model's folder is ever run, and
nothing is unpickled.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from cache import UserError
from cache.errors import refusing
from evaluation.scorers.conversations import reward_model_kind
from extract import records
from extract.checks import length_fault, text_fault
from extract.configuration import whole_configuration
from extract.engines.padded_batches import PaddedBatches, pad
from extract.stored_weights import REMEDY, check_room, read_headers
from extract.template.bos import added_bos, with_bos
from extract.template.fitting import fit_template
from extract.template.rendering import NotEncodableError, render

log = logging.getLogger(__name__)

Message = dict[str, str]
"""role and content."""


class SequenceClassifier:
    """A reward model and its tokenizer.

    Args:
        folder: with config.json, safetensors and a tokenizer that has a chat template.
        device: to score on.
        dtype: arithmetic of the model; None is the checkpoint's.

    Raises:
        UserError: it cannot be loaded, has not exactly one output, no chat template, or no trained output layer.
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self._device = device
        config = self._config(folder)
        self.max_tokens: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        """Longest conversation that the model was made for; None where its configuration does not say."""
        check_room(config, folder, read_headers(folder))
        with refusing(f"{folder} cannot be loaded as a sequence classifier", REMEDY):
            self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype="auto" if dtype is None else dtype,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        if loading["missing_keys"]:
            # transformers would fill them with random numbers and score all the same.
            raise UserError(
                f"{folder} has no weights for {sorted(loading['missing_keys'])[0]}, so it is no trained sequence"
                " classifier: name one that is"
            )
        if self._tokenizer.chat_template is None:
            raise UserError(
                f"the tokenizer in {folder} has no chat template, so how it wants its text is not known: give it the"
                " one that the model was trained with"
            )
        if isinstance(self._tokenizer.chat_template, str):
            fit_template(self._tokenizer)  # scores must not depend on the day, nor a template drop plain text
        self.dtype = str(model.dtype).removeprefix("torch.")
        """Arithmetic of the model."""
        self._model: Any = model.eval().requires_grad_(False).to(device)
        self._bos = added_bos(self._tokenizer)

    @staticmethod
    def _config(folder: Path) -> Any:
        config = whole_configuration(folder, "--scorer")
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if {"armorm", "num_objectives"} & stored.keys():
            raise UserError(f"{folder} is an exported model or the published checkpoint: write armorm: in place of hf:")
        if "auto_map" in stored:
            log.warning("%s brings code of its own, which is not run", folder)
        if config.num_labels != 1:
            raise UserError(
                f"{folder} has {config.num_labels} outputs (num_labels), and which of them is the score is not known:"
                " name a reward model, which has one"
            )
        return config

    def encode(self, messages: Sequence[Message]) -> list[int] | str:
        """Token ids of a conversation that ends with a response, or the reason why it cannot be scored."""
        # Any role: the template decides which ones it takes.
        turns = tuple(records.Message(cast(Any, each["role"]), each["content"]) for each in messages)
        for turn in turns:
            if fault := text_fault(turn.content, empty=True):  # official scripts of suites score an empty text
                return f"the {turn.role} turn {fault}"
        try:
            text = render(self._tokenizer, turns)
        except NotEncodableError as reason:
            return str(reason)
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        bos = self._tokenizer.bos_token_id
        while bos is not None and ids[:2] == [bos, bos]:
            ids = ids[1:]
        ids = with_bos(np.array(ids, np.uint32), self._bos).tolist()
        fault = length_fault(len(ids), self.max_tokens)
        return ids if fault is None else f"the conversation {fault}"

    def scores(self, sequences: Sequence[list[int]], batch_tokens: int) -> Iterator[tuple[list[int], list[float]]]:
        """Score token sequences in batches of similar length, the longest first.

        Args:
            sequences: token ids of each conversation.
            batch_tokens: most tokens of a batch, padding counted; a longer sequence is a batch of its own. Out of
                memory, half as many from then on.

        Yields:
            Positions of a batch among `sequences`, and their scores.

        Raises:
            UserError: one sequence alone does not fit the memory.
        """
        yield from PaddedBatches(batch_tokens, self._device, "use a device with more").run(sequences, self._score)

    def _score(self, batch: list[list[int]]) -> list[float]:
        """Scores of a batch, whose first sequence is the longest."""
        ids, mask = pad(batch, self._padding(batch))  # (b, n) each
        with torch.inference_mode():
            logits = self._model(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).logits  # (b, 1)
        scores: list[float] = logits[:, 0].double().tolist()
        return scores

    def _padding(self, batch: list[list[int]]) -> int:
        """A padding token that ends no sequence of the batch; the model's configuration is set to it.

        transformers reads the score at the last token that is not the padding token. Where padding is the end of a
        turn, or unknown, that would be the wrong one (transformers issue 35352).
        """
        last = {sequence[-1] for sequence in batch}
        padding: int | None = self._tokenizer.pad_token_id
        if padding is None or padding in last:
            padding = next(token for token in range(len(last) + 1) if token not in last)
        self._model.config.get_text_config().pad_token_id = padding
        return padding


KIND = reward_model_kind("hf", SequenceClassifier)
