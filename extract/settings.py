"""The recipe's settings for data sets, the backbone, and the way it is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cache.names import GgufFile
from extract.engines import ENGINES

if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(ENGINES)]
"""Name of an engine: one of `ENGINES`."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that is also a file name."""


MOST_TOKENS = 2**24
"""Largest number of tokens that a conversation may be allowed: more than any model has positions."""


class BackboneSettings(BaseModel):
    """`[backbone]`: the frozen decoder, and where in a conversation its state is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    model: str
    """Folder, or `org/name` on the hub."""
    revision: str | None = None
    """Branch, tag or commit; resolved to a commit, which the run records. Only for hub models."""
    gguf_file: GgufFile | None = None
    """A GGUF file in the folder or repository `model`. Weights (unpacked to `dtype`), configuration, tokenizer and chat
    template are read from it alone. Needs the extra `gguf` (docs/extraction.md)."""
    chat_template: Path | None = None
    """A Jinja file, for a tokenizer without a chat template, or in place of the tokenizer's."""
    layers: tuple[int, ...] = Field(default=(-1,), min_length=1)
    """Indices into the hidden states; -1 is the last, after the final norm."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Dtype of weights and activations."""
    max_tokens: int = Field(default=4096, ge=8, le=MOST_TOKENS)
    """A longer conversation is skipped, never cut."""
    position: Literal["end_of_turn", "last_token"] = "end_of_turn"
    """end_of_turn: the last token before the white space that some templates add after the closing
    marker (Gemma, Qwen); last_token: the template's last token. The two are the same for Llama 3."""
    special_tokens_in_text: Literal["skip", "keep"] = "skip"
    """Whether a row is skipped whose message spells a special token: the tokenizer would read it as one."""
    system_turns: Literal["template", "fold"] = "template"
    """template: the chat template is given system turns as they are; fold: where it refuses or loses them, a system
    turn's text and a blank line come before the text of the user turn that follows (Gemma, Mistral)."""

    @model_validator(mode="after")
    def _layers_differ(self) -> "BackboneSettings":
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("layers names a layer twice: take one of them out")
        return self


class VllmSettings(BaseModel):
    """`[extract.vllm]`: for the engine 'vllm' alone. The keys are vLLM's own arguments of the same names."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Fraction of a GPU's memory for weights, activations and the cache of keys and values."""
    kv_cache_memory_bytes: int | None = Field(default=None, gt=0)
    """Size of the cache of keys and values; by default what gpu_memory_utilization leaves."""
    max_num_batched_tokens: int = Field(default=8192, ge=1)
    """Tokens of one step, in place of extract.pack_tokens; a longer conversation takes several steps."""
    max_num_seqs: int = Field(default=512, ge=1)
    """Sequences of one step."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """Number of GPUs that the weights are divided among."""
    enable_prefix_caching: bool = True
    """Compute a prompt once for all of its responses, rounded down to whole blocks of some 16 tokens."""
    enforce_eager: bool = False
    """true: no compilation and no CUDA graphs; starts sooner, may run slower."""


class ExtractSettings(BaseModel):
    """`[extract]`: how the backbone is run. Nothing here changes a feature by more than rounding."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    engine: EngineName = "packed"
    """packed: many conversations a pass, each prompt once; padded: batches of like length, for backbones whose
    attention cannot be exchanged, which packed falls back to; sequential: one at a time, to check against;
    vllm: through vLLM, an optional extra (docs/vllm.md)."""
    pack_tokens: int = Field(default=8192, ge=8)
    """Maximum number of tokens of one forward pass; at least backbone.max_tokens. On a large GPU 32768 is faster."""
    compile: Literal["auto", "always", "never"] = "auto"
    """Whether the packed engine compiles decoder layers, which takes up to a minute and then saves a fifth of the time.
    auto: on a GPU at once; on a CPU in long runs, if there is a C++ compiler."""
    device: str = "auto"
    """auto: the first CUDA device, else the CPU. With `--workers`: auto, cuda or cpu, a device for each."""
    ray_address: str | None = Field(default=None, min_length=1)
    """Address of the Ray cluster that `--workers` uses, such as 'ray://head:10001'. By default the environment's
    RAY_ADDRESS, else a new Ray on this machine."""
    vllm: VllmSettings = VllmSettings()


class SplitSettings(BaseModel):
    """`[split]`: which prompts are held out, and which left out. By prompt, so that no prompt is on both sides."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    validation: float = Field(default=0.1, gt=0, lt=1)
    """Fraction of the prompts that is held out."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """Another seed holds out other prompts."""
    drop_overlap: bool = False
    """Whether rows of rating and pair sets are skipped whose prompt stands in a suite, exactly or by n-grams
    (docs/extraction.md). They are counted either way."""


class DatasetSettings(BaseModel):
    """A data set as the recipe names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    source: str
    """Which reader: a name in the list of sources below; for pairs also 'derived'."""
    name: Name = Field(default_factory=lambda given: given.get("source", ""))
    """Name in tables and reports; by default the source's name."""
    repo: str | None = None
    """`org/name` on the hub, in place of the source's."""
    revision: str | None = None
    """Branch, tag or commit on the hub; resolved at the first run, and the same from then on."""
    files: tuple[str, ...] | None = None
    """Glob patterns inside the repository, in place of the source's."""
    path: Path | None = None
    """A local file or folder, in place of a repository."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of raw rows, drawn over all of the set's files by a hash of each row's name: the same rows on
    every machine, and a larger limit adds rows to those of a smaller one."""

    @model_validator(mode="after")
    def _one_place(self) -> "DatasetSettings":
        if self.path is not None and (self.repo is not None or self.revision is not None):
            raise ValueError("give either path, or repo and revision")
        return self


class RatingSettings(DatasetSettings):
    """`[[ratings]]`: a set of rated responses."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Objective -> column, for the source 'multi_objective'; by default each objective's own name."""


class PairSettings(DatasetSettings):
    """`[[pairs]]`: a set of preferences, or preferences derived from a rating set of this recipe.

    Derived ones have `source = "derived"`: the responses to one prompt in the rating set `ratings` are
    compared by the weighted mean of the objectives in `by`, or by each of the objectives in `by_each`.
    """

    columns: dict[str, str] = Field(default_factory=dict)
    """Column that the source reads -> its name in the files, where that is another: { prompt = "query" }."""
    ratings: str | None = None
    """For derived pairs: the name of a rating set of this recipe."""
    by: dict[str, float] = Field(default_factory=dict)
    """For derived pairs: objective -> weight in the mean that decides; a negative one counts against. A response
    that lacks one of these ratings is not compared."""
    by_each: tuple[str, ...] = ()
    """For derived pairs, in place of `by`: objectives that decide one at a time, each over the responses that have
    it. For sets whose rows are rated on one objective of several, such as CodeUltraFeedback."""
    pick: Literal["best_worst", "all"] = "best_worst"
    """For derived pairs: one pair per prompt (with by_each: and objective), or every pair of its responses."""
    minimum_margin: float | None = Field(default=None, ge=0)
    """Pairs with this margin or less are skipped. The margin is the set's own: the ratio of votes in SHP, the
    difference of two means of ratings as written in derived pairs, of two scores in most others."""
    per_prompt: int | None = Field(default=None, ge=1)
    """Maximum number of pairs of one prompt: the first ones of those whose margin is large enough."""
    weight_by: Literal["margin"] | None = None
    """'margin': multiply each pair's loss with its margin (scaled Bradley-Terry), divided by the mean margin of the
    set's decided pairs, so that the set as a whole counts as before. A pair without a margin counts 1. By default
    all pairs count 1. No feature depends on it: another value needs no `armorm extract`."""

    @model_validator(mode="after")
    def _derived_or_read(self) -> "PairSettings":
        if self.source == "derived":
            if self.ratings is None or bool(self.by) == bool(self.by_each):
                raise ValueError(
                    "a derived set needs more: give ratings (the name of a rating set), and either by or by_each"
                )
            for objective, weight in self.by.items():
                if weight == 0:
                    raise ValueError(f"by gives {objective!r} the weight 0: give it another, or take it out")
            if len(set(self.by_each)) < len(self.by_each):
                raise ValueError("by_each names an objective twice: take one of them out")
            for key in ("repo", "revision", "files", "path", "limit"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} has no meaning for a derived set: give it to the rating set")
            if self.per_prompt is not None:
                raise ValueError(
                    "per_prompt has no meaning for a derived set: take it out; pick says how many pairs a prompt has"
                )
            if self.columns:
                raise ValueError("columns has no meaning for a derived set: give it to the rating set")
        elif self.ratings is not None or self.by or self.by_each or "pick" in self.model_fields_set:
            raise ValueError("ratings, by, by_each and pick belong to source = 'derived': take them out, or set it")
        return self


class SuiteSettings(DatasetSettings):
    """`[[suites]]`: rows to be judged, never used for training."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Column that the source reads -> its name in the files, where that is another: { prompt = "query" }."""
