"""The suites that can be evaluated. To add one: a module with a `SUITE`, and its line here.

A suite's rows come from a source in `extract/sources/`; the command line takes its names from this table.
"""

from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from evaluation.suites.suite import Suite

SUITES: "LazyRegistry[Suite]" = LazyRegistry(
    {
        "rewardbench": "evaluation.suites.reward_bench:SUITE",
        "rewardbench2": "evaluation.suites.reward_bench_2:SUITE",
        "rmbench": "evaluation.suites.rm_bench:SUITE",
        "judgebench": "evaluation.suites.judge_bench:SUITE",
        "m_rewardbench": "evaluation.suites.m_reward_bench:SUITE",
        "rag_rewardbench": "evaluation.suites.rag_reward_bench:SUITE",
        "rmb": "evaluation.suites.rmb:SUITE",
        "own": "evaluation.suites.own:SUITE",
    }
)
