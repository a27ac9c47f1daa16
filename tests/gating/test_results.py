"""The typed result of training the gate is read and written under the keys of `gating.json`."""

import json

from pydantic import TypeAdapter

from gating.collapse import GateSummary
from gating.results import Gating, Interval, Metrics, RuleMetrics, SeedMetrics, Seeds, Ties

RULE = RuleMetrics(0.75, 0.5, 1.0, Interval(0.25, -0.25, 0.5), None)
SUMMARY = GateSummary(2, 0.9, 0.6, {"kind": 1.0}, 0.0, 4, 0.2)
RESULT = Gating(
    lambdas={"long": {"kind": 0.5, "long": 1.0}},
    correlation_before={"long": {"kind": 0.3, "long": 1.0}},
    correlation_after={"long": {"kind": 0.0, "long": None}},
    correlation_before_held_out={"long": {"kind": None, "long": None}},
    correlation_after_held_out={"long": {"kind": None, "long": None}},
    no_root={},
    verbosity=("long",),
    correlation="spearman",
    validation_accuracy=0.75,
    validation_loss=0.5,
    validation_pairs=4,
    train_pairs=40,
    ties=Ties(1, 0),
    uniform_validation_accuracy=0.5,
    bradley_terry_validation_accuracy=0.75,
    bradley_terry_C=0.01,
    rules={"gate": RULE},
    rules_by_dataset={"pairs": {"pairs": 4, "gate": 0.75}},
    single_objectives={"kind": 0.5, "long": 0.5},
    rule_weights={},
    best_step=50,
    seeds=Seeds(0, 0.75, None, (SeedMetrics(0, 50, 0.4, 0.5, 0.75),)),
    metrics=(Metrics(50, 0.4, 0.5, 0.75),),
    tie_threshold=None,
    precision="float32",
    threads=1,
    gate=SUMMARY,
    gate_by_dataset={"pairs": SUMMARY},
    warning=None,
    gate_seconds=1.0,
    seconds=2.0,
)


def test_lambda_is_the_key_of_the_lambdas_and_what_is_written_is_read_back() -> None:
    adapter = TypeAdapter(Gating)
    written = json.loads(adapter.dump_json(RESULT, by_alias=True))
    assert written["lambda"] == {"long": {"kind": 0.5, "long": 1.0}}
    assert "lambdas" not in written
    assert written["rules_by_dataset"]["pairs"]["pairs"] == 4
    assert adapter.validate_python(written | {"stamp": "of the run"}) == RESULT


def test_a_file_of_an_earlier_version_has_no_moments() -> None:
    adapter = TypeAdapter(Gating)
    written = json.loads(adapter.dump_json(RESULT, by_alias=True))
    del written["reference"]
    assert adapter.validate_python(written).reference is None
