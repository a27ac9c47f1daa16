"""The published RewardBench table of the method, for comparison; source: the method's page."""

from dataclasses import dataclass

from evaluation.suites.reward_bench import SECTIONS, overall


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of the published table, in per cent."""

    model: str
    method: str
    sections: tuple[float, float, float, float, float]
    """Chat, Chat Hard, Safety, Reasoning, Prior Sets."""

    @property
    def score(self) -> float:
        """The overall score by the benchmark's arithmetic, in per cent."""
        return overall(dict(zip(SECTIONS, self.sections, strict=True)))


PUBLISHED = (
    PublishedRow("ArmoRM-Llama3-8B-v0.1", "ArmoRM + MoE", (96.9, 76.8, 92.2, 97.3, 74.3)),
    PublishedRow("Cohere May 2024", "unknown", (96.4, 71.3, 92.7, 97.7, 78.2)),
    PublishedRow("pair-preference-model (Llama-3 8B)", "SliC-HF", (98.3, 65.8, 89.7, 94.7, 74.6)),
    PublishedRow("GPT-4 Turbo 0125", "LLM-as-a-judge", (95.3, 74.3, 87.2, 86.9, 70.9)),
    PublishedRow("FsfairX-LLaMA3-RM-v0.1", "Bradley-Terry", (99.4, 65.1, 87.8, 86.4, 74.9)),
    PublishedRow("Starling-RM-34B", "Bradley-Terry", (96.9, 57.2, 88.2, 88.5, 71.4)),
)
