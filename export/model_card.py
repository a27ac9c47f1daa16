"""The README of an exported folder: a description of the model and its own measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from export.reward_config import RewardConfig
from export.reward_headers import PENALTIES
from extract.check.licences import forbids_commercial_use
from gating.measured import needs_text
from gating.results import Gating
from gating.settings import RESPONSE_TOKENS, variables_of
from heads.results import Heads

SHOWN = ("gate", "uniform", "bradley_terry", "length")
"""Rules whose results the card shows, where a suite was judged by them."""

MEASURED_AS = {
    name: f"{'the length in thousands of tokens' if name == RESPONSE_TOKENS else name} (`{tensor}`)"
    for name, tensor in PENALTIES.items()
}
"""Variable that is measured in the response -> what it is, and the tensor of its multiples."""


@dataclass(frozen=True, slots=True)
class CardTable:
    """Results on one suite."""

    title: str
    rows: int
    """Number of the suite's rows that were judged."""
    headings: tuple[str, ...]
    """Headings of the columns after the first."""
    lines: tuple[tuple[str, ...], ...]
    """A rule's name and its figures, one for each heading."""


def model_card(
    name: str,
    note: str,
    backbone: str,
    config: RewardConfig,
    heads: Heads,
    gating: Gating,
    suites: Sequence[CardTable],
    licences: Mapping[str, str | None],
) -> str:
    """The card as Markdown.

    Args:
        name: name of the recipe.
        note: the recipe's note on what a reader must know before comparing.
        backbone: `org/name` on the hub, or the name of its folder.
        config: names, scales, positions.
        heads: metrics of the heads.
        gating: metrics of the gate.
        suites: results on suites.
        licences: backbone or data set -> its licence; None if its card names none.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, which `_cell` escapes
    )
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["reward-model", "armorm", "custom_code"],
        base_model=backbone if "/" in backbone else None,
    )
    body = environment.get_template("model_card.jinja").render(
        name=_cell(name),
        note=note,
        backbone=_cell(backbone),
        rated=bool(config.scales),
        uncertain=config.uncertainty is not None,
        coverage_sentence="" if config.intervals is None else _coverage_sentence(heads, config.intervals.coverage),
        origin=_origin(heads),
        objectives=[_objective(name, config, heads, gating) for name in config.objectives],
        max_tokens=config.max_tokens,
        position=config.position,
        layers=list(config.layers),
        dtype=config.dtype,
        variables=[_cell(name) for name in variables_of(config.verbosity)],
        measured=[MEASURED_AS[name] for name in variables_of(config.verbosity) if name in MEASURED_AS],
        styled=needs_text(variables_of(config.verbosity)),
        pairs_sentence=_pairs_sentence(gating),
        suites=[
            {
                "title": suite.title,
                "rows": f"{suite.rows:,}",
                "headings": list(map(_cell, suite.headings)),
                "lines": suite.lines,
            }
            for suite in suites
        ],
        licences=[(_cell(part), _cell(licence or "not stated")) for part, licence in licences.items()],
        non_commercial=[_cell(part) for part, licence in licences.items() if forbids_commercial_use(licence)],
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def _objective(name: str, config: RewardConfig, heads: Heads, gating: Gating) -> list[str]:
    scale, head = config.scales.get(name), heads.objectives[name]
    return [
        _cell(name),
        "" if scale is None else f"{scale.low:g} to {scale.high:g}",
        "" if scale is None else f"`{scale.rule}`",
        "" if head.rows is None else f"{head.rows:,}",
        "" if head.pearson is None else f"{head.pearson:.3f}",
        "" if (alone := gating.single_objectives.get(name)) is None else f"{alone:.1%}",
        *(f"{gating.lambdas[variable][name]:.3f}" for variable in variables_of(config.verbosity)),
    ]


def _origin(heads: Heads) -> str:
    """One sentence about heads that no ratings of this recipe made; empty for others."""
    if heads.origin == "ratings":
        return ""
    if heads.origin == "folder":
        return "The recipe has no ratings; the heads were taken from another model on the same backbone."
    pairs = f"{heads.train_pairs:,} pairs"
    if heads.origin == "directions":
        return (
            f"The recipe has no ratings. The objectives are principal directions of the differences between chosen and"
            f" rejected features of {pairs} (as in decomposed reward models, arXiv 2502.13131), by explained variance."
            " A reward has no scale of its own: along each direction, the mean square of those differences is 1."
        )
    return (
        f"The recipe has no ratings. The one objective is a Bradley-Terry head, fitted on {pairs}: a difference of two"
        " rewards is the log-odds that the one response is preferred."
    )


def _coverage_sentence(heads: Heads, asked: float) -> str:
    """One sentence about the intervals of all objectives together; empty where no rating was left to judge them."""
    found = [head.interval.all_sets.covered for head in heads.objectives.values() if head.interval is not None]
    judged = [(each.rows, each.rows * each.fraction) for each in found if each.fraction is not None]
    rows, inside = (round(sum(column)) for column in zip(*judged, strict=True)) if judged else (0, 0)
    if not rows:
        return ""
    return (
        f"Every reward comes with an interval that was made to contain {asked:.0%} of new ratings (`armorm explain DIR`"
        f" shows them); of {rows:,} held-out ratings that did not set them, {inside / rows:.1%} lie in theirs."
    )


def _pairs_sentence(gating: Gating) -> str:
    rule = gating.rules["gate"]
    return (
        f"{rule.accuracy:.1%} of {gating.validation_pairs:,} held-out pairs are judged right"
        f" (95 % interval {100 * rule.low:.1f} to {100 * rule.high:.1f}); with equal weights"
        f" {gating.uniform_validation_accuracy:.1%}, by a plain Bradley-Terry head on the same features"
        f" {gating.bradley_terry_validation_accuracy:.1%}."
    )


def _cell(text: str) -> str:
    """Text from a recipe, escaped for a cell of a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
