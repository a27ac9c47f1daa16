"""The data sets that can be read. To add one: a module with a `SOURCE`, and its line here."""

from typing import TYPE_CHECKING

from cache.registry import LazyRegistry

if TYPE_CHECKING:
    from extract.sources.source import Source

SOURCES: "LazyRegistry[Source]" = LazyRegistry(
    {
        "helpsteer": "extract.sources.helpsteer:SOURCE",
        "helpsteer2": "extract.sources.helpsteer2:SOURCE",
        "ultrafeedback": "extract.sources.ultrafeedback:SOURCE",
        "beavertails": "extract.sources.beavertails:SOURCE",
        "prometheus": "extract.sources.prometheus:SOURCE",
        "capybara": "extract.sources.capybara:SOURCE",
        "openorca": "extract.sources.openorca:SOURCE",
        "math_preference": "extract.sources.math_preference:SOURCE",
        "code_ultrafeedback": "extract.sources.code_ultrafeedback:SOURCE",
        "multi_objective": "extract.sources.multi_objective:SOURCE",
        "ultrafeedback_binarized": "extract.sources.ultrafeedback_binarized:SOURCE",
        "hh_rlhf": "extract.sources.hh_rlhf:SOURCE",
        "pku_safe_rlhf": "extract.sources.pku_safe_rlhf:SOURCE",
        "pku_safe_rlhf_safer": "extract.sources.pku_safe_rlhf_safer:SOURCE",
        "shp": "extract.sources.shp:SOURCE",
        "preference_collection": "extract.sources.preference_collection:SOURCE",
        "prm800k": "extract.sources.prm800k:SOURCE",
        "helpsteer2_preference": "extract.sources.helpsteer2_preference:SOURCE",
        "helpsteer3": "extract.sources.helpsteer3:SOURCE",
        "skywork_reward_preference": "extract.sources.skywork_reward_preference:SOURCE",
        "nectar": "extract.sources.nectar:SOURCE",
        "preference": "extract.sources.preference:SOURCE",
        "reward_bench": "extract.sources.reward_bench:SOURCE",
        "preference_test_sets": "extract.sources.preference_test_sets:SOURCE",
        "reward_bench_2": "extract.sources.reward_bench_2:SOURCE",
        "rm_bench": "extract.sources.rm_bench:SOURCE",
        "judge_bench": "extract.sources.judge_bench:SOURCE",
        "m_reward_bench": "extract.sources.m_reward_bench:SOURCE",
        "rag_reward_bench": "extract.sources.rag_reward_bench:SOURCE",
        "rmb": "extract.sources.rmb:SOURCE",
        "preference_suite": "extract.sources.preference_suite:SOURCE",
    }
)
