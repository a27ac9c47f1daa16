"""Baselines that use no objectives."""

import numpy as np

from gating.rules.rule import Arrays, Responses, Rule, Scores


def _bradley_terry(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return responses.bradley_terry


def _length(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return responses.tokens.astype(np.float64)


BRADLEY_TERRY = Rule("same features, one linear head", "Bradley-Terry", _bradley_terry)
"""One linear head on the response's feature, learned from the pairs."""

LENGTH = Rule("longer response wins", "length only", _length)
"""A score that does no better than length has learned nothing."""
