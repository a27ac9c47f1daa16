"""Results of evaluation, a class for each JSON file; a field's name is its key, and fractions go from 0 to 1.

A number that may be NaN in memory is null in the file, and None where the file was read back.
"""

from dataclasses import dataclass, field
from typing import Literal

from cache.names import FileName
from evaluation.best_of_n import BestOf
from evaluation.bootstrap import Estimate, Interval
from evaluation.calibration import Calibration
from evaluation.choices import Choices
from evaluation.comparison import Comparison
from evaluation.decisions import Decisions
from evaluation.length_bias import LengthBias, StyleBias
from evaluation.metrics import Accuracy
from evaluation.rating_agreement import RatingAgreement
from extract.overlap import Overlap
from gating.collapse import GateSummary


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of a 95 % interval; None where no draw defines the figure."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SectionScores:
    """A suite's score and its sections, by one rule or one objective."""

    score: float
    score_low: float | None
    score_high: float | None
    sections: dict[str, float]
    """Section -> score; sections of which rows were judged."""
    section_intervals: dict[str, Ends]


@dataclass(frozen=True, slots=True)
class RuleScore(SectionScores):
    """A suite's whole table by one rule or scorer."""

    extra: dict[str, dict[str, Estimate]]
    """The suite's further tables: title -> column -> figure."""
    missing_subsets: tuple[str, ...]
    """Subsets of the suite of which no row was judged."""
    subsets: dict[str, Accuracy]
    skipped: int = 0
    """Rows that a scorer gave no score, which the rules judged."""


@dataclass(frozen=True, slots=True)
class MissingRow:
    """A row that could not be judged."""

    suite: str
    """Data set of the recipe."""
    subset: str
    row: str
    missing: str
    """The reason."""


@dataclass(frozen=True, slots=True)
class Suite:
    """`<suite>.json`: a suite judged by every rule and scorer."""

    suite: FileName
    title: str
    note: str
    """The recipe's, for a reader of the figures."""
    rows: int
    """Rows judged."""
    missing: int
    """Rows that could not be judged, which count neither way."""
    missing_rows: tuple[MissingRow, ...]
    rules: dict[str, RuleScore]
    """Rule, pairwise head or scorer -> its table."""
    single_objectives: dict[str, SectionScores]
    """Objective -> scores by its reward alone."""
    gate_by_section: dict[str, dict[str, float]]
    """Section -> objective -> mean part of the gate's weight, the largest first."""
    gate_summary_by_section: dict[str, GateSummary]
    seconds: float
    overlap: dict[str, dict[str, Overlap]] = field(default_factory=dict)
    """Data set of the suite -> training set -> rows whose prompt stands in both, as extraction counted them."""


@dataclass(frozen=True, slots=True)
class RuleCalibration:
    """Calibration of a rule's score gaps; None where the rule scored no pair or no temperature was fitted."""

    as_is: Calibration | None
    """At temperature 1."""
    fitted: Calibration | None
    """At the temperature fitted on the held-out pairs of the gate's training."""


@dataclass(frozen=True, slots=True)
class RuleAnalysis:
    """One rule on the pairs of a suite."""

    rows: int
    """Rows of which it scored every pair."""
    pairs_right: Interval | None
    """Fraction of a row's pairs judged right, mean over rows."""
    ties: int
    tied_fraction: float | None
    """Ties, as a fraction of the pairs that it scored."""
    calibration: RuleCalibration
    comparison: Comparison | None
    """With the reference; None for the reference itself, and without a row that both judged."""
    length: LengthBias | None
    style: dict[str, StyleBias]
    """Mark of style -> bias; empty where the rule scored no pair."""
    decisions: Decisions | None
    """Mistakes that abstaining would spare; None where the rule scored no pair."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """`<suite>.analysis.json`: the rules compared on the pairs of a suite."""

    suite: str
    note: str
    reference: str
    """The rule that the others are compared with."""
    rows: int
    prompts: int
    pairs: int
    rules: dict[str, RuleAnalysis]
    best_of_n: tuple[BestOf, ...]
    """Empty where no row has more than two responses."""
    choices: Choices | None
    """None there too, and where no rule has standard errors."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Ratings:
    """`ratings.json`: agreement of heads with the ratings of held-out prompts."""

    objectives: dict[str, dict[str, RatingAgreement]]
    """Objective -> data set -> agreement."""
    fitted_on: str
    """The rows that these heads were fitted on, in words."""
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a leaderboard."""

    rank: int
    """Place by score among all that judged these rows; 0 for published rows, which judged the suite's own."""
    name: str
    """The name in the suite's file; the model's for published rows."""
    model: str
    """The name for readers."""
    method: str
    kind: Literal["rule", "scorer", "published"]
    score: float
    low: float | None
    """Ends of the score's 95 % interval; None for published rows."""
    high: float | None
    sections: dict[str, float]
    skipped: int
    """Rows that it gave no score, which the others judged."""


@dataclass(frozen=True, slots=True)
class SuiteLeaderboard:
    """Everything that judged one suite, the highest score first, then published rows."""

    title: str
    rows: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """`leaderboard.json`."""

    note: str
    suites: dict[str, SuiteLeaderboard]


@dataclass(frozen=True, slots=True)
class Scorer:
    """`scorers/<suite>/<name>.json`: scores that another model gave a suite's responses."""

    name: str
    """The name in tables; no rule has it."""
    method: str
    suite: str
    scorer: str
    """Kind and place, such as hf:/models/reward."""
    rows: int
    skipped: int
    """Rows without a score."""
    reasons: dict[str, int]
    """Reason -> rows skipped for it."""
    model: str
    """Identity of the weights, or the name that the endpoint knows the model by."""
    new: int
    """Conversations scored, or questions answered, by this command; the others were known already."""
    seconds: float


@dataclass(frozen=True, slots=True)
class RewardModelScorer(Scorer):
    """Scores of a reward model."""

    max_tokens: int | None
    """Longest conversation that the model was made for."""


@dataclass(frozen=True, slots=True)
class JudgeScorer(Scorer):
    """Scores from a judge's verdicts."""

    endpoint: str
    temperature: float | None
    questions: int
    unanswered: int
    """Questions without an answer."""
    pairs: int
    unparseable: int
    """Answers without a verdict."""
    inconsistent: int
    """Pairs of which the answers in both orders contradict each other."""
    tied: int
    """Pairs of which an answer is a tie and neither response wins."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `armorm report`."""

    page: str
    bytes: int
    """Size of the page."""
    plots: tuple[str, ...]
    """Files of figures."""
    missing: dict[str, str]
    """Part of the page that is not there -> a sentence with the command that makes it."""
    seconds: float
