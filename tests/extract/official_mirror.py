"""A hub-shaped folder with every set of recipes/armorm-llama3-8b.toml: official layouts, file names, formats, quirks.

The rows are self-made. Files that lie beside the ones that a set's reader takes are there too, with rows that it could
not use: a pattern that is too wide shows.
"""

import gzip
import json
import lzma
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import demo_corpus
from extract.sources.m_reward_bench import LANGUAGES
from extract.sources.rag_reward_bench import SCENARIOS
from extract.sources.rm_bench import DOMAINS

ROWS = 24
"""Rows of a file that is written here."""
BESIDE = {"other": "a row of a file that is not read"}
SHP_DOMAINS = (
    *("askacademia", "askanthropology", "askbaking", "askcarguys", "askculinary", "askdocs", "askengineers"),
    *("askhistorians", "askhr", "askphilosophy", "askphysics", "askscience", "asksciencefiction"),
    *("asksocialscience", "askvet", "changemyview", "explainlikeimfive", "legaladvice"),
)
HH_FOLDERS = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled")
MESSAGES = pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))


def write(root: Path) -> Path:
    """Write the mirror; its folder."""
    demo_corpus.write(root / "demo", scale=0.1)
    mirror = root / "mirror"
    shutil.copytree(root / "demo", mirror)
    shutil.rmtree(root / "demo")
    _beside(mirror)
    _shp(mirror)
    _hh(mirror)
    _preference_collection(mirror)
    _suites(mirror)
    for repository in (path for path in mirror.glob("*/*") if path.is_dir()):
        (repository / "README.md").write_text("---\nlicense: other\n---\n# A card\n")
        (repository / ".gitattributes").write_text("*.parquet filter=lfs\n")
    return mirror


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    compress = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(data))


def parquet(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, row_group_size=10)


def _beside(mirror: Path) -> None:
    """Files that the official repositories hold beside those that are read."""
    for name in (
        "PKU-Alignment/BeaverTails/round0/330k/test.jsonl.xz",
        "PKU-Alignment/BeaverTails/round0/30k/train.jsonl.gz",
        "PKU-Alignment/PKU-SafeRLHF-30K/round0/test.jsonl.xz",
        "Anthropic/hh-rlhf/red-team-attempts/red_team_attempts.jsonl.gz",
        *(f"Anthropic/hh-rlhf/{folder}/test.jsonl.gz" for folder in HH_FOLDERS),
        "tasksource/PRM800K/phase1_train.jsonl",
        "tasksource/PRM800K/phase2_test.jsonl",
    ):
        lines(mirror / name, [BESIDE] * 3)
    for name in (
        "allenai/reward-bench/data/raw-00000-of-00001.parquet",
        "allenai/preference-test-sets/data/mt_bench_gpt4-00000-of-00001.parquet",
        "allenai/preference-test-sets/data/pku_safer-00000-of-00001.parquet",
        "HuggingFaceH4/ultrafeedback_binarized/data/test_sft-00000-of-00001.parquet",
    ):
        parquet(mirror / name, [BESIDE] * 3)


def _shp(mirror: Path) -> None:
    """18 folders with three splits each; JSON lines in files named .json."""
    folder = mirror / "stanfordnlp" / "SHP"
    rows = [json.loads(line) for line in (folder / "askscience" / "train.json").read_text().splitlines()]
    for domain in SHP_DOMAINS:
        lines(folder / domain / "train.json", [row | {"domain": f"{domain}_train"} for row in rows])
        lines(folder / domain / "validation.json", [BESIDE])
        lines(folder / domain / "test.json", [BESIDE])


def _hh(mirror: Path) -> None:
    folder = mirror / "Anthropic" / "hh-rlhf"
    for missing in HH_FOLDERS[2:]:
        shutil.copy(folder / "helpful-base" / "train.jsonl.gz", folder / missing / "train.jsonl.gz")


def _preference_collection(mirror: Path) -> None:
    """Six files."""
    folder = mirror / "prometheus-eval" / "Preference-Collection" / "data"
    whole = pq.read_table(folder / "train-00000-of-00001.parquet")
    (folder / "train-00000-of-00001.parquet").unlink()
    for number in range(6):
        part = whole.slice(number * (len(whole) // 6), len(whole) // 6)
        pq.write_table(part, folder / f"train-0000{number}-of-00006.parquet")


def _suites(mirror: Path) -> None:
    _reward_bench_2(mirror / "allenai" / "reward-bench-2" / "data")
    _rm_bench(mirror / "THU-KEG" / "RM-Bench")
    _judge_bench(mirror / "ScalerLab" / "JudgeBench" / "data")
    _m_reward_bench(mirror / "CohereLabsCommunity" / "multilingual-reward-bench")
    _rag(mirror / "jinzhuoran" / "RAG-RewardBench" / "Dataset")
    _rmb(mirror / "dd101bb" / "RMB_dataset" / "data")


def _reward_bench_2(folder: Path) -> None:
    rows = []
    for number in range(ROWS):
        subset = ("Factuality", "Precise IF", "Math", "Safety", "Focus")[number % 5]
        responses = {"chosen": [f"Yes, {number}."], "rejected": [f"No, {number}.", "Maybe.", "Who knows?"]}
        rows.append({"id": f"{number}", "prompt": f"Is it {number}?", **responses, "subset": subset, "num_correct": 1})
    for form, right in (("ref", 1), ("tied", 3)):
        good = [f"Colour {place}." for place in range(right)]
        rows.append({"id": f"{form}:1", "prompt": "Name a colour.", "chosen": good, "rejected": ["Seven."] * 2})
        rows[-1] |= {"subset": "Ties", "num_correct": right}
    parquet(folder / "test-00000-of-00001.parquet", rows)


def _rm_bench(folder: Path) -> None:
    rows = [
        {
            "id": number,
            "prompt": f"What is {number}?",
            "chosen": [f"{number}: right {style}" for style in range(3)],
            "rejected": [f"{number}: wrong {style}" for style in range(3)],
            "domain": DOMAINS[number % len(DOMAINS)],
        }
        for number in range(ROWS)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "total_dataset.json").write_text(json.dumps(rows, indent=4))


def _judge_bench(folder: Path) -> None:
    for name, model in (("gpt", "gpt-4o-2024-05-13"), ("claude", "claude-3-5-sonnet-20240620")):
        rows = [
            {
                "pair_id": f"{name}-{number}",
                "original_id": number,
                "source": ("mmlu-pro-math", "livebench-reasoning", "livecodebench")[number % 3],
                "question": f"Which is {number}?",
                "response_model": model,
                "response_A": "The first.",
                "response_B": "The second.",
                "label": ("A>B", "B>A")[number % 2],
            }
            for number in range(ROWS)
        ]
        lines(folder / f"{name}-00000-of-00001.jsonl", rows)


def _m_reward_bench(folder: Path) -> None:
    for language in LANGUAGES:
        rows = [
            {
                "id": number,
                "language": language,
                "prompt": f"{language} {number}?",
                "chosen": "Ja.",
                "rejected": "Nein.",
                "chosen_model": "a",
                "rejected_model": "b",
                "source": ("alpacaeval-easy", "math-prm", "hep-python", "donotanswer")[number % 4],
                "category": "Chat",
            }
            for number in range(8)
        ]
        parquet(folder / language / "test-00000-of-00001.parquet", rows)
    parquet(folder / "translation" / "test-00000-of-00001.parquet", [BESIDE])
    parquet(folder / "eng_Latn" / "data.parquet", [BESIDE])
    for name in ("raw.json", "filtered.json"):
        lines(folder / name, [BESIDE])


def _rag(folder: Path) -> None:
    for scenario in SCENARIOS:
        rows = [
            {
                "prompt": f"Passage {number}: bread is brown.",
                "question": f"Why is bread {number} brown?",
                "chosen": "It is baked.",
                "reject": "It is bread.",
                "chosen_model": "a",
                "reject_model": "b",
                "subset": "hotpot",
            }
            for number in range(ROWS)
        ]
        lines(folder / f"{scenario}.jsonl", rows)


def _rmb(folder: Path) -> None:
    def row(kind: str, number: int, answers: int) -> dict[str, Any]:
        turn = {"content": f"Question {number}", "language": "en", "role": "user"}
        return {
            "uid": f"{kind}-{number}",
            "conversation": [turn],
            "responses": [{"answer": f"Answer {place}", "llm_name": "a"} for place in range(answers)],
            "preferred_index": number % answers,
            "category_path": f"{kind}/Helpfulness/QA/Fact",
            "split_type": "test",
        }

    parquet(folder / "pairwise-00000-of-00001.parquet", [row("Pairwise_set", number, 2) for number in range(ROWS)])
    parquet(folder / "bon-00000-of-00001.parquet", [row("BoN_set", number, 4) for number in range(ROWS)])
