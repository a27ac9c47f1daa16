"""A run as the report reads it, made up whole, with any text in the places where data sets and recipes put theirs."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from cache import Fingerprint
from evaluation.bootstrap import Estimate, Interval
from evaluation.calibration import Bin, Calibration
from evaluation.choices import Choice, Choices
from evaluation.comparison import Comparison
from evaluation.decisions import Confident, Decisions
from evaluation.length_bias import LengthBias, Slice, StyleBias
from evaluation.metrics import Accuracy
from evaluation.rating_agreement import RatingAgreement
from evaluation.report.inputs import ReportInputs, SkippedRow
from evaluation.results import (
    Analysis,
    Ends,
    MissingRow,
    Ratings,
    RuleAnalysis,
    RuleCalibration,
    RuleScore,
    Suite,
)
from evaluation.risk_coverage import RiskCoverage
from extract.overlap import Overlap
from extract.results import DatasetRows, Extract
from gating.collapse import GateSummary
from gating.results import Gating, Metrics, RuleMetrics, SeedMetrics, Seeds, Ties
from gating.results import Interval as GatingInterval
from heads.ablation_results import (
    Ablations,
    AlphaPaths,
    Baseline,
    FractionScore,
    FromOthers,
    HeadComparison,
    RatingMetrics,
    Score,
    WithoutDataset,
)
from heads.objectives import Scale
from heads.results import (
    Covered,
    DistributionMetrics,
    Heads,
    IntervalMetrics,
    ObjectiveHead,
    ObjectiveInterval,
    OtherHeads,
    RatingsHead,
)

WAYS = ("lower_bound", "probability")
RULES = ("gate", "uniform", "bradley_terry", "length")
ESTIMATE, NOTHING = Estimate(0.5, 0.3, 0.7), Estimate(None, None, None)
SUMMARY = GateSummary(2, entropy=0.5, top_share=0.7, leading={}, negative=0.0, prompts=12, spread=0.1)


def made_up(text: str = "words", *, long: str = "", **changes: Any) -> ReportInputs:
    """A run with two objectives, two sections and twelve rows; `text` is in every name, reason and response.

    Args:
        text: of the names; two names that must differ differ in a number after it.
        long: put after each response.
        changes: fields of the run to replace.
    """
    # No Parquet file holds half a surrogate pair, as a JSON file can, and no recipe names an objective so.
    stored = text.encode(errors="replace").decode()
    objectives = [f"{stored} 1", f"{stored} 2"]
    sections = [f"{stored} 3", f"{stored} 4"]
    scored = responses(objectives, sections, stored)
    texts = scored.select("suite", "subset", "row", "chosen", "place").with_columns(
        prompt=pl.lit([{"role": "system", "content": stored}, {"role": "user", "content": stored}]),
        response=pl.lit(stored + long),
    )
    whole: dict[str, Any] = {
        "name": text,
        "folder": f"runs/{text}",
        "note": text,
        "settings": {
            "backbone": {"model": text},
            "ratings": [{"source": text}],
            "note": text,
            "split": {"drop_overlap": True},
        },
        "fingerprints": {"recipe": text},
        "extract": extract(text),
        "heads": heads(objectives),
        "ratings": ratings(objectives, text),
        "gating": gating(objectives, text),
        "other_heads": other_heads(objectives),
        "ablations": ablations(objectives, text),
        "suites": {"rewardbench": suite(objectives, sections, text)},
        "analyses": {"rewardbench": analysis(text)},
        "scored": scored,
        "texts": texts,
        "skipped": (SkippedRow(text, text, text),),
        "missing": {"stale": text},
        "plots": False,
    }
    return ReportInputs(**(whole | changes))


def responses(objectives: list[str], sections: list[str], text: str, rows: int = 12, seed: int = 0) -> pl.DataFrame:
    """Scored responses, one chosen and two rejected a row; `score.gate` is the sum of weight × reward."""
    rng = np.random.default_rng(seed)
    lines = []
    for row in range(rows):
        weights = rng.random(len(objectives))
        for chosen, place in ((True, 0), (False, 0), (False, 1)):
            rewards = rng.standard_normal(len(objectives))
            lines.append(
                {"suite": text, "subset": f"{text} {row % 4}", "section": sections[row % 2], "row": f"{text} {row}"}
                | {"place": place, "chosen": chosen, "response_tokens": 7, "score.gate": float(weights @ rewards)}
                | {f"reward.{name}": value for name, value in zip(objectives, rewards, strict=True)}
                | {f"weight.{name}": value for name, value in zip(objectives, weights, strict=True)}
            )
    return pl.DataFrame(lines)


def extract(text: str) -> Extract:
    """An extraction with one data set and a missing one."""
    return Extract(
        rows=9,
        unique_tokens=100,
        tokens_computed=100,
        features_new=10,
        features_reused=0,
        skipped=1,
        seconds=1.5,
        seconds_extracting=1.0,
        device=text,
        engine="packed",
        worker="1/1",
        fingerprint=text,
        store=text,
        limit=None,
        missing={f"{text} missing": text},
        revisions={},
        datasets={text: DatasetRows("ratings", rows=9, used=8, skipped=1, ratings_skipped=0, reasons={text: 1})},
        overlap={text: {text: Overlap(exact=3, ngram=2, rows=9, suite_rows=4)}},
    )


def heads(objectives: list[str]) -> Heads:
    """Two heads, one without a correlation, and an objective that was not fitted."""
    head = ObjectiveHead(
        rows=8,
        validation_rows=2,
        alpha=1.0,
        validation_mse=0.2,
        pearson=0.5,
        validation_path=(0.3, 0.2, None),
        degrees_of_freedom=3.5,
        condition=None,
        constant=False,
    )
    return Heads(
        origin="ratings",
        objectives={
            objectives[0]: replace(head, interval=interval_of(objectives[0])),
            objectives[1]: replace(head, pearson=None),
        },
        skipped={f"{objectives[0]} skipped": objectives[0]},
        scales={name: Scale(low=0, high=4) for name in objectives},
        alphas=(0.1, 1.0, 10.0),
        rows=8,
        train_pairs=None,
        rows_read=8,
        rows_reused=0,
        features=4,
        reading=Fingerprint("backbone", "tokenizer", "template", "end_of_turn", (-1,), "float32", "float16", "packed"),
        fitted_on="training rows",
        layer=None,
        uncertainty=None,
        seconds=0.5,
        peak_bytes=10**9,
    )


def ratings(objectives: list[str], text: str) -> Ratings:
    """Agreement of one objective in two data sets, one of them with two levels."""
    two_levels = RatingAgreement(4, 2, ESTIMATE, NOTHING, ESTIMATE, 0.1, ESTIMATE)
    sets = {text: two_levels, f"{text} 2": replace(two_levels, auc=None)}
    return Ratings({objectives[0]: sets}, "training rows", 4, 0.1)


def gating(objectives: list[str], text: str) -> Gating:
    """A gate of two objectives, the second of which is the verbosity."""
    rule = RuleMetrics(0.6, 0.5, 0.7, GatingInterval(0.1, -0.1, 0.3), None)
    summary = replace(SUMMARY, leading={objectives[1]: 1.0})
    before: dict[str, dict[str, float | None]] = {objectives[1]: dict(zip(objectives, (0.5, 1.0), strict=True))}
    after: dict[str, dict[str, float | None]] = {objectives[1]: dict(zip(objectives, (0.01, None), strict=True))}
    return Gating(
        lambdas={objectives[1]: dict(zip(objectives, (0.3, 1.0), strict=True))},
        correlation_before=before,
        correlation_after=after,
        correlation_before_held_out=before,
        correlation_after_held_out=after,
        no_root={objectives[0]: text},
        verbosity=(objectives[1],),
        correlation="spearman",
        validation_accuracy=0.6,
        validation_loss=0.35,
        validation_pairs=5,
        train_pairs=20,
        ties=Ties(0, 0),
        uniform_validation_accuracy=0.5,
        bradley_terry_validation_accuracy=0.5,
        bradley_terry_C=1.0,
        rules=dict.fromkeys(RULES, rule),
        rules_by_dataset={text: {"pairs": 5, "gate": 0.6, "uniform": 0.5}},
        single_objectives={},
        rule_weights={},
        best_step=100,
        seeds=Seeds(1, 0.6, 0.01, tuple(SeedMetrics(seed, 100, 0.35, 0.35, 0.6) for seed in (1, 2))),
        metrics=tuple(Metrics(50 * n, 0.7 / n, 0.7 / n, 0.6) for n in (1, 2)),
        tie_threshold=None,
        precision="float32",
        threads=1,
        gate=summary,
        gate_by_dataset={text: summary},
        warning=text,
        gate_seconds=1.0,
        seconds=2.0,
    )


def interval_of(text: str) -> ObjectiveInterval:
    """An interval from all data sets, and one data set of two with too few rows."""
    covered = IntervalMetrics(0.8, 40, Covered(38, 0.921), Covered(36, 0.94), Covered(0, None), None)
    none = IntervalMetrics(None, 3, Covered(4, None), None, None, f"3 calibration rows, and 9 are needed{text}")
    return ObjectiveInterval(0.9, covered, {text: covered, f"{text} 2": none})


def distributions_of(objective: str) -> dict[str, dict[str, DistributionMetrics]]:
    """Distributions of one objective by the ridge and one kind of head."""
    ridge = DistributionMetrics(9, 0.1234, 0.0, 0.0, 0.88, (0.1,) * 10)
    other = DistributionMetrics(9, 0.1111, -0.0123, None, 0.97, (0.2,) * 5 + (0.0,) * 5)
    return {"ordinal": {objective: other}, "ridge_residuals": {objective: ridge}, "ridge_gaussian": {}}


def other_heads(objectives: list[str]) -> OtherHeads:
    """An ordinal head of one objective."""
    head = RatingsHead(8, 2, 0.2, 0.5, {"levels": 5, "alpha": 1.0}, 0.3, None, 0.1)
    return OtherHeads(
        {}, {"ordinal": {objectives[0]: head}}, {"ordinal": {}}, distributions_of(objectives[0]), (4,), 0.1
    )


def ablations(objectives: list[str], text: str) -> Ablations:
    """Every ablation, a data set without which one objective cannot be fitted, and a layer with one head."""
    head, score = Baseline(8, 1.0, 0.2, 0.5), Score(4, 1.0, 0.3, 0.4)
    return Ablations(
        baseline=dict.fromkeys(objectives, head),
        train_rows=dict.fromkeys(objectives, 8),
        datasets={text: WithoutDataset({objectives[0]: 0}, {objectives[1]: score})},
        objectives={objectives[0]: FromOthers(0.4, 0.3, {})},
        alphas=AlphaPaths((0.1, 1.0, 10.0), dict.fromkeys(objectives, (0.3, 0.2, None))),
        rows={name: (FractionScore(0.5, 4, 1.0, 0.3, 0.4),) for name in objectives},
        layers={"4": dict.fromkeys(objectives, score), "-1": {objectives[0]: score}},
        heads=HeadComparison(
            {"gate": 0.9, text: 0.8}, {"ridge": dict.fromkeys(objectives, RatingMetrics(0.2, 0.5))}, {}
        ),
        seconds_by_variant={text: 0.1},
        seconds=0.2,
    )


def analysis(text: str) -> Analysis:
    """A suite's analysis, with a rule that scored no pair."""
    accuracy, error = Interval(0.6, 0.5, 0.7), Estimate(0.05, 0.02, 0.08)
    chosen = Choice(accuracy, Interval(0.1, -0.1, 0.2))
    length = LengthBias({"chosen_longer": Slice(12, Interval(0.8, 0.7, 0.9))}, accuracy, 0.5, ESTIMATE)
    rule = RuleAnalysis(
        rows=12,
        pairs_right=accuracy,
        ties=1,
        tied_fraction=0.04,
        calibration=RuleCalibration(Calibration(1.0, 24, error, error, error, ()), None),
        comparison=Comparison(12, -0.1, -0.2, 0.0, 2, 5, 0.02, 0.04),
        length=length,
        style={"lists": StyleBias({"chosen_more": Slice(7, accuracy)}, accuracy, 0.5)},
        decisions=decisions(),
    )
    without_errors = replace(rule, decisions=replace(decisions(), by_probability=None, gain=None, calibration=None))
    nothing = RuleAnalysis(0, None, 0, None, RuleCalibration(None, None), None, None, {}, None)
    return Analysis(
        suite="rewardbench",
        note=text,
        reference="gate",
        rows=12,
        prompts=12,
        pairs=24,
        rules={"gate": replace(rule, comparison=None), "length": without_errors, text: nothing},
        best_of_n=(),
        choices=Choices(12, 0.3, 1.0, {"gate": {"mean": Choice(accuracy, None)} | dict.fromkeys(WAYS, chosen)}),
        seconds=0.1,
    )


def decisions() -> Decisions:
    """Decisions by gap and by probability, with an empty bin and no confident pair by the probability."""
    order = RiskCoverage(ESTIMATE, ESTIMATE, tuple(0.3 + 0.01 * point for point in range(20)))
    bins = (Bin(0.5, 0.55, 24, 0.52, 0.6), Bin(0.55, 0.6, 0, None, None))
    calibration = Calibration(None, 24, ESTIMATE, ESTIMATE, ESTIMATE, bins)
    confident, none = Confident(ESTIMATE, ESTIMATE), Confident(Estimate(0.0, 0.0, 0.0), NOTHING)
    return Decisions(24, ESTIMATE, order, confident, order, none, Estimate(0.01, -0.01, 0.03), calibration)


def suite(objectives: list[str], sections: list[str], text: str) -> Suite:
    """A suite's result, with a scorer, a row that was not judged and a figure that is not defined."""
    table = RuleScore(
        score=0.7,
        score_low=0.6,
        score_high=0.8,
        sections=dict.fromkeys(sections, 0.7),
        section_intervals=dict.fromkeys(sections, Ends(0.6, 0.8)),
        extra={text: {text: NOTHING}},
        missing_subsets=(text,),
        subsets={text: Accuracy(0.75, 4, 0.3, 0.95)},
    )
    weights = dict(zip(objectives, (0.7, 0.3), strict=True))
    return Suite(
        suite="rewardbench",
        title=text,
        note=text,
        rows=12,
        missing=1,
        missing_rows=(MissingRow(text, text, text, text),),
        rules=dict.fromkeys((*RULES, text), table),
        single_objectives={},
        gate_by_section=dict.fromkeys(sections, weights),
        gate_summary_by_section=dict.fromkeys(sections, SUMMARY),
        seconds=0.1,
    )
