"""Every source reads real rows as published, and accounts for each of them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from extract.files.locate import locate
from extract.files.missing import MissingDatasetError
from extract.files.rows import read_rows
from extract.records import PreferencePair, RatedResponse, Record, Skipped, SuiteItem
from extract.settings import DatasetSettings
from extract.sources import SOURCES
from extract.sources.reader import read

Read = Callable[..., tuple[int, list[Record], list[Skipped]]]


@pytest.fixture
def read_real(real_rows: Path) -> Read:
    """Raw rows, records and refusals of a source's real rows; skips where this set is not among them."""

    def read_source(source: str, **values: object) -> tuple[int, list[Record], list[Skipped]]:
        try:
            located = locate(DatasetSettings(source=source, **values), SOURCES[source], real_rows)  # type: ignore[arg-type]
        except MissingDatasetError as error:
            pytest.skip(str(error))
        rows = sum(1 for path in located.paths for _ in read_rows(path))
        records: list[Record] = []
        refused: list[Skipped] = []
        for record in read(SOURCES[source], located.paths, located.root):
            if isinstance(record, Skipped):
                refused.append(record)
            else:
                records.append(record)
        assert len({record.row for record in records}) == len(records)
        assert not {record.row for record in records} & {record.row for record in refused}
        return rows, records, refused

    return read_source


def ratings(records: list[Record]) -> Counter[tuple[str, float]]:
    """Count of each value of each objective."""
    assert all(isinstance(record, RatedResponse) for record in records)
    return Counter(item for record in records if isinstance(record, RatedResponse) for item in record.ratings.items())


def reasons(refused: list[Skipped]) -> Counter[str]:
    return Counter(record.reason for record in refused)


def test_helpsteer(read_real: Read) -> None:
    rows, records, refused = read_real("helpsteer")
    assert (rows, len(records), len(refused)) == (8, 8, 0)
    found = ratings(records)
    assert sum(found.values()) == 40
    assert {value for _, value in found} <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_beavertails(read_real: Read) -> None:
    rows, records, refused = read_real("beavertails", files=("round0/30k/test.jsonl*",))
    assert (rows, len(records), len(refused)) == (3021, 3021, 0)
    found = ratings(records)
    assert set(found) == {("beavertails-is_safe", 0.0), ("beavertails-is_safe", 1.0)}
    assert sum(found.values()) == 3021


def test_prometheus(read_real: Read) -> None:
    rows, records, refused = read_real("prometheus")
    assert (rows, len(records), len(refused)) == (640, 640, 0)
    expected = {1.0: 40, 2.0: 60, 3.0: 66, 4.0: 290, 5.0: 184}
    assert ratings(records) == {("prometheus-score", value): count for value, count in expected.items()}


def test_ultrafeedback(read_real: Read) -> None:
    rows, records, refused = read_real("ultrafeedback")
    assert (rows, len(records) + len(refused)) == (1200, 2400)
    assert reasons(refused) == {"the completion's response is empty": 2}
    assert {objective for objective, _ in ratings(records)} == {"ultrafeedback-overall_score"}


def test_hh_rlhf(read_real: Read) -> None:
    rows, records, refused = read_real("hh_rlhf", files=("*/test.jsonl*",))
    assert rows == 2312 + 2352
    assert len(records) + len(refused) == rows
    files = Counter(record.row.partition("#")[0] for record in (*records, *refused))
    assert files == {"harmless-base/test.jsonl.gz": 2312, "helpful-base/test.jsonl.gz": 2352}
    assert len(refused) == 8
    assert all(reason.startswith("turn ") and reason.endswith("is empty") for reason in reasons(refused))
    for record in records:
        assert isinstance(record, PreferencePair)
        roles = [message.role for message in record.prompt]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_ultrafeedback_binarized(read_real: Read) -> None:
    rows, records, refused = read_real("ultrafeedback_binarized")
    assert (rows, len(records), len(refused)) == (1200, 1193, 7)
    assert reasons(refused) == {
        "chosen and rejected are the same text": 5,
        "column 'rejected'[1].content is empty": 1,
        "column 'chosen'[1].content is empty": 1,
    }
    margins = [record.margin for record in records if isinstance(record, PreferencePair)]
    assert all(margin is not None and margin >= 0 for margin in margins)


def test_pku_safe_rlhf(read_real: Read) -> None:
    rows, records, refused = read_real("pku_safe_rlhf", repo="PKU-Alignment/PKU-SafeRLHF")
    assert (rows, len(records), len(refused)) == (32, 32, 0)
    assert all(isinstance(record, PreferencePair) and record.margin is None for record in records)


def test_reward_bench(read_real: Read) -> None:
    rows, records, refused = read_real("reward_bench")
    assert (rows, len(records), len(refused)) == (1403, 1403, 0)
    subsets = Counter(record.subset for record in records if isinstance(record, SuiteItem))
    assert subsets == {
        **{f"hep-{language}": 164 for language in ("cpp", "go", "java", "js", "python", "rust")},
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    }
