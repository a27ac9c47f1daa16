"""M-RewardBench: RewardBench's rows in 23 languages, one folder per language.

Schema (CohereLabsCommunity/multilingual-reward-bench, one config per language, split test): RewardBench's prompt,
chosen, rejected and id, language, and `source`, RewardBench's subset, which other copies call `subset`. The language is
the folder's name if the column does not have one of the 23. The config `translation` has other pairs and is not read. A
subset is `language/subset`.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.reward_bench import SUBSETS
from extract.sources.source import BadRowError, RawRow, Source, in_subset

LANGUAGES = (
    *("arb_Arab", "ces_Latn", "deu_Latn", "ell_Grek", "fra_Latn", "heb_Hebr", "hin_Deva", "ind_Latn"),
    *("ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn", "ron_Latn"),
    *("rus_Cyrl", "spa_Latn", "tur_Latn", "ukr_Cyrl", "vie_Latn", "zho_Hans", "zho_Hant"),
)


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row, named by its language and RewardBench's id, which is the same for all translations of a row."""
    language = _language(row)
    subset = row.text("subset" if "subset" in row.values else "source")
    if subset not in SUBSETS:
        raise BadRowError(f"the subset {subset!r} is not one of RewardBench's")
    with in_subset(f"{language}/{subset}") as part:
        identifier = row.identifier("id")
        prompt = user_prompt(row.text("prompt"))
        chosen, rejected = (row.text("chosen"),), (row.text("rejected"),)
        metadata = {"language": language, "id": identifier}
        yield SuiteItem(f"{language}/{identifier}", part, prompt, chosen, rejected, metadata)


def _language(row: RawRow) -> str:
    folder = PurePosixPath(row.where.rpartition("#")[0]).parent.name
    for name in (row.values.get("language"), folder):
        if name in LANGUAGES:
            return str(name)
    raise BadRowError(f"neither column 'language' nor the folder {folder!r} is one of M-RewardBench's languages")


SOURCE = Source(
    name="m_reward_bench",
    kind="suite",
    repo="CohereLabsCommunity/multilingual-reward-bench",
    files=("???_????/test-*.parquet",),
    columns=("id", "language", "subset", "source", "prompt", "chosen", "rejected"),
    parse=parse,
)
