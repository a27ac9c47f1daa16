"""Parts of a run that was made and not computed, for benchmarks of the commands that read them."""

from collections.abc import Sequence

from cache import Fingerprint
from extract.results import Extract
from heads.results import Heads, ObjectiveHead

SHARD_ROWS = 8190
"""Rows of a shard; a multiple of three, so that a pair's features lie in one."""

RECIPE = """
name = "benchmark"
runs = "runs"
backbone = {{ model = "none", max_tokens = 4096 }}
extract = {{ pack_tokens = 8192 }}
ratings = [{{ source = "helpsteer" }}]
pairs = [{{ source = "hh_rlhf" }}]
suites = [{{ source = "reward_bench" }}, {{ source = "preference_test_sets" }}]
store = {{ root = "features", shard_rows = {shard_rows} }}
debiasing = {{ verbosity = "response_tokens" }}
"""


def fingerprint() -> Fingerprint:
    """Fingerprint of features that no backbone made."""
    return Fingerprint("random", "none", "none", "end_of_turn", (-1,), "bfloat16", "float16", "packed")


def made_extract(rows: int) -> Extract:
    """A result of `extract` over some rows of suites."""
    return Extract(
        rows=rows,
        unique_tokens=0,
        tokens_computed=0,
        features_new=0,
        features_reused=0,
        skipped=0,
        seconds=0.0,
        seconds_extracting=0.0,
        device="none",
        engine="packed",
        worker="1/1",
        fingerprint=fingerprint().digest,
        store="features",
        limit=None,
        missing={},
        revisions={},
        datasets={},
    )


def made_heads(objectives: Sequence[str], width: int) -> Heads:
    """A result of `fit-heads` for some objectives over features of some width."""
    head = ObjectiveHead(
        rows=1, validation_rows=1, alpha=1.0, validation_mse=1.0, pearson=0.0, validation_path=(), constant=False
    )
    return Heads(
        origin="ratings",
        objectives=dict.fromkeys(objectives, head),
        skipped={},
        scales={},
        alphas=(1.0,),
        rows=1,
        train_pairs=None,
        rows_read=1,
        rows_reused=0,
        features=width,
        reading=fingerprint(),
        fitted_on="none",
        layer=None,
        uncertainty=None,
        seconds=0.0,
        peak_bytes=0,
    )
