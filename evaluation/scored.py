"""The frame of a suite's scored responses: one line a response, with every score, reward and gate weight."""

from collections.abc import Mapping, Sequence

import polars as pl

from evaluation.columns import REWARD, SCORE, SCORED_RESPONSE, WEIGHT
from gating.rules.rule import Responses, Scores


def scored_frame(
    judged: pl.DataFrame,
    scores: Mapping[str, Scores],
    responses: Responses,
    objectives: tuple[str, ...],
    errors: Sequence[pl.Series] = (),
) -> pl.DataFrame:
    """Lines of the table of suites with their scores.

    Args:
        judged: lines of the table of suites without missing rows, with `section`.
        scores: rule or scorer -> (lines,) float64.
        responses: rewards and gate weights of the same lines.
        objectives: names of the k rewards and weights.
        errors: columns of `evaluation.score_errors`.

    Returns:
        `SCORED_RESPONSE`, then `score.<rule>`, `reward.<objective>` and `weight.<objective>`, and the errors.
    """
    columns = [pl.Series(SCORE + rule, values) for rule, values in scores.items()]
    for prefix, values in ((REWARD, responses.rewards), (WEIGHT, responses.weights)):
        columns += [pl.Series(prefix + name, values[:, number]) for number, name in enumerate(objectives)]
    return judged.select(SCORED_RESPONSE).with_columns([*columns, *errors])
