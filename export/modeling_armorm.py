"""ArmoRM: named rewards from a frozen decoder, weighted by a gate that depends on the prompt.

`armorm export` copies this file into every folder it writes, where transformers runs it
(`AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)`). It needs only torch and
transformers, and works with every decoder that `AutoModel` knows.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import ModelOutput

from extract.style import STYLE, style_counts

MODEL_TYPE = "llama"
"""The backbone's family; `armorm export` writes the folder's own here."""

BACKBONE = MODEL_MAPPING[CONFIG_MAPPING[MODEL_TYPE]]


def base_model_prefix(family: Any) -> str:
    """Name of the attribute, and prefix of the weights, under which models of a family have their decoder."""
    return getattr(family, "base_model_prefix", "") or "model"


PENALTIES = {"response_tokens": "length_penalty", **{mark: f"{mark}_penalty" for mark in STYLE}}
"""Variable that is measured in a response -> the tensor of its multiples, one for each objective."""

# Version 4 takes only names of modules, and refuses those of buffers.
BUFFERS = (
    []
    if transformers.__version__.startswith("4.")
    else ["reward_transform_matrix", *PENALTIES.values(), "uncertainty", "intervals"]
)
FLOAT32 = ["regression_layer", "gating", *BUFFERS]


@dataclass
class RewardModelOutput(ModelOutput):  # type: ignore[misc]
    """The model's output for a batch of B conversations; all float32.

    Attributes:
        rewards: (B, k) one for each objective, before verbosity is taken out.
        hidden_state: (B, d) feature of each conversation.
        prompt_embedding: (B, d) feature of each prompt.
        gating_output: (B, k) weight of each objective for the prompt.
        score: (B,) weighted sum of the adjusted rewards.
        logits: (B, 1) the score, in the shape of a sequence classifier with one label.
        reward_std: (B, k) standard error of each reward; None where the folder holds no uncertainty.
        score_std: (B,) standard error of the score, under the gate's weights as they are; None likewise.
        unfamiliar: (B,) bool, whether a response is unlike all rated rows; None also where too few rows told.
    """

    rewards: Tensor | None = None
    hidden_state: Tensor | None = None
    prompt_embedding: Tensor | None = None
    gating_output: Tensor | None = None
    score: Tensor | None = None
    logits: Tensor | None = None
    reward_std: Tensor | None = None
    score_std: Tensor | None = None
    unfamiliar: Tensor | None = None


class Float32Linear(nn.Linear):
    """A linear layer that computes in float32, whatever dtype its weights have.

    Weights are read in its own `forward` and nowhere else: offloading, sharding and adapters put them in place for
    that call alone.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (..., in) -> (..., out), float32."""
        bias = None if self.bias is None else self.bias.float()
        return F.linear(inputs.float(), self.weight.float(), bias)


class GatingNetwork(nn.Module):
    """MLP with ReLU; softmax over the objectives of logits / temperature, times a scale."""

    def __init__(self, features: int, objectives: int, hidden: int, hidden_layers: int, temperature: float) -> None:
        super().__init__()
        widths = [features, *[hidden] * hidden_layers, objectives]
        self.layers = nn.ModuleList(Float32Linear(a, b) for a, b in zip(widths, widths[1:]))  # noqa: B905, RUF007
        self.logit_scale = nn.Parameter(torch.ones(1))
        self.temperature = temperature

    def forward(self, prompts: Tensor) -> Tensor:
        """Prompt features (B, d), float32 -> (B, k)."""
        hidden = prompts
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden if number == 0 else torch.relu(hidden))  # (B, hidden); the last one (B, k)
        weights = torch.softmax(hidden / self.temperature, dim=-1)  # (B, k)
        return weights * self.logit_scale.float().to(weights.device)


class Uncertainty(nn.Module):
    """Standard errors of rewards and scores, from the leverage of a response among the rated rows.

    Its matrices take factors x rows x columns x 4 bytes of the device's memory, as `armorm.uncertainty` of config.json
    states them: 12.6 MB a factor at 4,096 columns.
    """

    whitening: Tensor
    covariance: Tensor
    quantiles: Tensor
    thresholds: Tensor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        factor_of: list[int] = settings["factor_of"]
        k, factors = len(factor_of), settings["factors"]
        self.factor_of = factor_of
        self.columns = slice(settings["first_column"], settings["first_column"] + settings["columns"])
        self.familiar = settings["familiar"]
        self.register_buffer("whitening", torch.zeros(factors, settings["rows"], settings["columns"]))
        self.register_buffer("covariance", torch.zeros(k, k))
        self.register_buffer("quantiles", torch.zeros(factors, 101))  # read by `armorm`, not here
        self.register_buffer("thresholds", torch.zeros(factors))

    def forward(self, features: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features (B, layers * d) of responses, coefficients (B, k) of rewards -> (B, k), (B,), (B,)."""
        columns = features[:, self.columns].to(self.whitening.device)  # (B, c)
        halves = [F.linear(columns, factor.float()) for factor in self.whitening]  # (B, m) each
        leverages = torch.stack([half.square().sum(dim=-1) for half in halves], dim=-1)  # (B, f)
        roots = leverages.sqrt()[:, self.factor_of]  # (B, k)
        covariance = self.covariance.float()
        reward_std = roots * covariance.diagonal().sqrt()  # (B, k)
        terms = coefficients.to(roots.device) * roots  # (B, k)
        score_std = ((terms @ covariance) * terms).sum(dim=-1).clamp(min=0).sqrt()  # (B,)
        unfamiliar = leverages[:, -1] > self.thresholds[-1].float() if self.familiar else None  # (B,)
        return reward_std, score_std, unfamiliar


class Intervals(nn.Module):
    """Half-widths of the intervals of ratings: read by `armorm` and not here, and kept by `save_pretrained`."""

    def __init__(self, objectives: int) -> None:
        super().__init__()
        self.register_buffer("half_width", torch.zeros(objectives))
        self.register_buffer("leverage_half_width", torch.zeros(objectives))


class ArmoRewardModel(PreTrainedModel):  # type: ignore[misc]
    """The backbone, linear heads, the transform that takes verbosity out, and the gate."""

    config_class = CONFIG_MAPPING[MODEL_TYPE]
    base_model_prefix = base_model_prefix(BACKBONE)
    supports_gradient_checkpointing = True
    # Attention that the backbone supports, under the names that versions 4 and 5 ask for.
    _supports_sdpa = getattr(BACKBONE, "_supports_sdpa", False)
    _supports_flash_attn = getattr(BACKBONE, "_supports_flash_attn", False)
    _supports_flash_attn_2 = getattr(BACKBONE, "_supports_flash_attn_2", False)
    _supports_flex_attn = getattr(BACKBONE, "_supports_flex_attn", False)
    _supports_attention_backend = getattr(BACKBONE, "_supports_attention_backend", False)
    _no_split_modules: list[str] = []  # noqa: RUF012 - the backbone's own are added
    # Heads and gate are small, and every digit of a score counts: they stay float32 whatever the backbone's dtype.
    _keep_in_fp32_modules = FLOAT32
    _keep_in_fp32_modules_strict = FLOAT32
    # A backbone's weights often include its output layer, which is not used here.
    _keys_to_ignore_on_load_unexpected = [r"^lm_head\.", r"^score\.", r"^embed_out\."]  # noqa: RUF012

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        settings = config.armorm
        # Folders of version 0.1 do not say how wide a feature is.
        k, d = config.num_objectives, settings.get("features") or config.hidden_size * len(settings["layers"])
        self.num_labels = 1
        decoder = AutoModel.from_config(config)
        setattr(self, self.base_model_prefix, decoder)
        parameters = inspect.signature(type(decoder).forward).parameters
        any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        self._decoder_takes = None if any_name else frozenset(parameters)
        self.regression_layer = Float32Linear(d, k, bias=False)
        self.register_buffer("reward_transform_matrix", torch.eye(k))
        variables = settings["verbosity"]
        variables = [variables] if isinstance(variables, str) else variables
        self._measured = [name for name in PENALTIES if name in variables]
        for name in self._measured:
            self.register_buffer(PENALTIES[name], torch.zeros(k))
        self.tokenizer: Any = None  # read when responses are first decoded; or set by a caller
        known = settings.get("uncertainty")
        self.uncertainty = None if known is None else Uncertainty(known)
        self.intervals = None if settings.get("intervals") is None else Intervals(k)
        self.gating = GatingNetwork(d, k, config.gating_hidden_dim, config.gating_n_hidden, config.gating_temperature)
        self.post_init()

    def initialize_weights(self) -> None:
        """Initialise what no file holds, the backbone first and by itself.

        Below a class that is not its own, transformers 5 takes a module without direct weights for initialised, and
        Falcon H1 computes its layers' buffers in such a module.
        """
        self.base_model.initialize_weights()
        super().initialize_weights()

    @property
    def objectives(self) -> list[str]:
        """Names of the rewards, in order."""
        return list(self.config.armorm["objectives"])

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's embeddings."""
        return self.base_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the backbone's embeddings."""
        self.base_model.set_input_embeddings(value)

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        prompt_lengths: Tensor | None = None,
        style_marks: Tensor | None = None,
        return_dict: bool | None = None,
        **ignored: Any,  # noqa: ARG002 - see below
    ) -> Any:
        """Score whole conversations, templated by the tokenizer's `apply_chat_template`.

        Args:
            input_ids: (B, T) int64, padded on either side or not at all; or the mapping that
                `apply_chat_template` returns, with the mask in it. Of two BOS the first counts as padding.
            attention_mask: (B, T) 1 for tokens, 0 for padding. Left out, padding tokens at either end count as
                padding; where the padding token also closes turns, the first of those at the end is kept.
            position_ids: (B, T); left out: counted from the first token that is not padding.
            prompt_lengths: (B,) tokens of each prompt, up to the token that closes the last turn before the
                response, padding not counted. Left out, the end of the prompt is looked for: where the template's
                tokens around the beginning of an assistant turn come last.
            style_marks: (B, 3) number of Markdown marks, list items and fenced blocks in each response. Left out, and
                where they are taken out of the rewards, the responses are decoded and their marks counted.
            return_dict: False for a tuple.
            ignored: what trainers hand to every classifier (labels, use_cache, …).

        Raises:
            ValueError: a conversation is empty, or has no assistant turn; marks of style are needed, and the folder's
                tokenizer cannot be read; outside of training, a score is not finite.
        """
        if isinstance(input_ids, Mapping):
            attention_mask = input_ids.get("attention_mask", attention_mask)
            input_ids = input_ids["input_ids"]
        if input_ids is None:
            raise ValueError("input_ids are needed: the prompt's end is found in them")
        mask = self._padding_mask(input_ids) if attention_mask is None else attention_mask.to(input_ids.device).bool()
        mask = self._without_second_bos(input_ids, mask)
        first, last = self._ends(input_ids, mask)  # (B,) each
        prompt = self._prompt_ends(input_ids, first, last) if prompt_lengths is None else first + prompt_lengths - 1
        if position_ids is None:
            position_ids = (mask.long().cumsum(dim=-1) - 1).clamp(min=0)  # (B, T)
        # Every conversation begins in the first column: then padding is on the right, where no token of a decoder
        # looks, and families that pay no heed to a mask give the same states.
        column = first[:, None] + torch.arange(input_ids.shape[-1], device=first.device)  # (B, T)
        mask = mask.gather(-1, column.clamp(max=input_ids.shape[-1] - 1)) & (column < input_ids.shape[-1])
        column = column.clamp(max=input_ids.shape[-1] - 1)
        last, prompt = last - first, prompt - first
        ids = input_ids.gather(-1, column)
        states = self._states(ids, mask, position_ids.expand_as(column).gather(-1, column))
        row = torch.arange(len(input_ids), device=states[0].device)
        last, prompt = last.to(row.device), prompt.to(row.device)
        hidden_state = torch.cat([layer[row, last] for layer in states], dim=-1).float()  # (B, layers * d)
        prompt_embedding = torch.cat([layer[row, prompt] for layer in states], dim=-1).float()  # (B, layers * d)
        with torch.autocast(device_type=row.device.type, enabled=False):
            rewards = self.regression_layer(hidden_state)  # (B, k)
            device = rewards.device
            gating_output = self.gating(prompt_embedding).to(device)  # (B, k)
            adjusted = rewards @ self.reward_transform_matrix.float().to(device)  # (B, k)
            for name, value in self._values(ids, last, prompt, style_marks).items():
                adjusted = adjusted - value.to(device)[:, None] * getattr(self, PENALTIES[name]).float().to(device)
            score = (gating_output * adjusted).sum(dim=-1)  # (B,)
            # In training a loss scaler handles overflow; compiled code does not stop at values.
            if not self.training and not torch.compiler.is_compiling() and not bool(score.isfinite().all()):
                raise ValueError(
                    f"the score of conversation {_first(~score.isfinite())} of the batch is not finite: load the model"
                    " in float32 or bfloat16"
                )
            errors: tuple[Tensor | None, ...] = (None, None, None)
            if self.uncertainty is not None:
                coefficients = gating_output @ self.reward_transform_matrix.float().to(device).T  # (B, k)
                errors = self.uncertainty(hidden_state, coefficients)
        output = RewardModelOutput(
            rewards, hidden_state, prompt_embedding, gating_output, score, score[:, None], *errors
        )
        return output.to_tuple() if return_dict is False else output

    def _values(self, input_ids: Tensor, last: Tensor, prompt: Tensor, style_marks: Tensor | None) -> dict[str, Tensor]:
        """The measured variables that are taken out: thousands of tokens, and log(1 + number of marks). (B,) each."""
        values = {}
        if any(name in STYLE for name in self._measured) and style_marks is None:
            style_marks = self._style_marks(input_ids, last, prompt)
        for name in self._measured:
            if style_marks is None or name not in STYLE:
                values[name] = (last - prompt) / 1000.0
            else:
                values[name] = style_marks[:, STYLE.index(name)].float().log1p()
        return values

    def _style_marks(self, input_ids: Tensor, last: Tensor, prompt: Tensor) -> Tensor:
        """Marks of style in the responses of conversations (B, T) that begin in the first column. (B, 3)."""
        if self.tokenizer is None:
            place = self.config.name_or_path
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(
                    place, revision=getattr(self.config, "_commit_hash", None) or "main"
                )
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"marks of style are taken out of the rewards, and {place!r} has no tokenizer to read them with:"
                    " set `model.tokenizer`, or give `style_marks`"
                ) from error
        header = list(self.config.armorm["prompt_end"][self.config.armorm["prompt_end_offset"] :])
        counts = []
        for row, start, end in zip(input_ids.tolist(), (prompt + 1).tolist(), (last + 1).tolist()):  # noqa: B905
            response = row[start:end]
            if response[: len(header)] == header:
                response = response[len(header) :]
            text = self.tokenizer.decode(response, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            counts.append(style_counts(text))
        return torch.tensor(counts, device=last.device)

    def _states(self, input_ids: Tensor, mask: Tensor, position_ids: Tensor) -> list[Tensor]:
        """The hidden states that features are read from, each (B, T, d)."""
        layers = self.config.armorm["layers"]
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask.long(), "position_ids": position_ids}
        inputs |= {"use_cache": False, "output_hidden_states": any(layer != -1 for layer in layers)}
        inputs["return_dict"] = True
        if self._decoder_takes is not None:  # not every decoder has positions (Bloom, Mamba)
            inputs = {name: value for name, value in inputs.items() if name in self._decoder_takes}
        output = self.base_model(**inputs)
        # The last state comes after the final norm, which not every family's `hidden_states` has seen.
        ends = (-1, len(output.hidden_states or ()) - 1)
        return [output.last_hidden_state if layer in ends else output.hidden_states[layer] for layer in layers]

    def _padding_mask(self, input_ids: Tensor) -> Tensor:
        """True for tokens that are not padding, found from the ids. (B, T) bool."""
        pad = self.config.pad_token_id
        if pad is None:
            return torch.ones_like(input_ids, dtype=torch.bool)
        token = input_ids != pad  # (B, T)
        before = token.long().cumsum(dim=-1) > 0
        after = token.flip(-1).long().cumsum(dim=-1).flip(-1) > 0
        mask = before & after
        pattern, offset = self.config.armorm["prompt_end"], self.config.armorm["prompt_end_offset"]
        if pattern and offset and pattern[offset - 1] == pad:
            one_more = F.pad(mask[:, :-1], (1, 0))  # also the position after the last token
            mask = mask | (before & one_more)
        return mask

    def _without_second_bos(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """The mask without a BOS before another BOS: the tokenizer adds one to text that has the template's."""
        bos = self.config.bos_token_id
        if bos is None or input_ids.shape[-1] < 2:
            return mask
        begins = (input_ids == bos) & mask  # (B, T)
        followed = F.pad(begins[:, 1:], (0, 1))
        start = mask & (mask.long().cumsum(dim=-1) == 1)
        return mask & ~(start & begins & followed)

    def _ends(self, input_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Places of the first token and of the last one that is read. (B,) each."""
        if not bool(mask.any(dim=-1).all()):
            raise ValueError(f"conversation {_first(~mask.any(dim=-1))} of the batch is empty")
        place = torch.arange(input_ids.shape[-1], device=input_ids.device)  # (T,)
        first = mask.long().argmax(dim=-1)  # (B,)
        last = (mask * place).amax(dim=-1)  # (B,)
        trailing = self.config.armorm["trailing"]
        if trailing and input_ids.shape[-1] > len(trailing):
            places = last[:, None] - torch.arange(len(trailing) - 1, -1, -1, device=last.device)  # (B, m)
            tokens = input_ids.gather(-1, places.clamp(min=0))
            ends = (tokens == torch.tensor(trailing, device=last.device)).all(dim=-1) & (last - first > len(trailing))
            last = last - ends.long() * len(trailing)
        return first, last

    def _prompt_ends(self, input_ids: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Place of the token at which each prompt's feature is read. Shape (B,)."""
        pattern = torch.tensor(self.config.armorm["prompt_end"], device=input_ids.device)  # (m,)
        if input_ids.shape[-1] >= len(pattern):
            start = torch.arange(input_ids.shape[-1] - len(pattern) + 1, device=input_ids.device)  # (places,)
            inside = (start >= first[:, None]) & (start + len(pattern) - 1 <= last[:, None])  # (B, places)
            matches = (input_ids.unfold(-1, len(pattern), 1) == pattern).all(dim=-1) & inside  # (B, places)
            found = matches.any(dim=-1)
            at = (matches * start).amax(dim=-1)  # (B,)
        else:
            found, at = torch.zeros_like(first, dtype=torch.bool), first
        if not bool(found.all()):
            raise ValueError(
                f"conversation {_first(~found)} of the batch has no assistant turn: template whole conversations with"
                " the tokenizer's apply_chat_template, the last message being the assistant's"
            )
        return at + self.config.armorm["prompt_end_offset"] - 1


def _first(rows: Tensor) -> int:
    return int(rows.nonzero()[0, 0])


# So that `save_pretrained` puts this file beside the weights; transformers 5 does that by itself.
ArmoRewardModel.register_for_auto_class("AutoModelForSequenceClassification")
