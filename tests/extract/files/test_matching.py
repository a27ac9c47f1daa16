"""Which files of a folder are a data set's, and what is said where there are none."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from cache.errors import UserError
from extract.files.locate import Located, locate
from extract.files.missing import MissingDatasetError
from extract.sources import SOURCES
from tests.extract.files.written import missing, settings, touch, values


def test_a_data_root_is_shaped_like_the_hub(tmp_path: Path) -> None:
    folder = tmp_path / "Anthropic" / "hh-rlhf"
    first, second, *_ = touch(
        folder, "a-base/train.jsonl.gz", "b-base/train.jsonl", "a-base/test.jsonl.gz", "red/x.jsonl", "train.jsonl"
    )
    assert locate(settings("hh_rlhf"), SOURCES["hh_rlhf"], tmp_path) == Located(folder, (first, second))


def test_files_of_the_recipe_take_the_place_of_the_sources_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "copy"
    first, second = touch(folder, "a/test.jsonl", "b/test.jsonl")
    named = settings("hh_rlhf", repo="own/copy", files=("b/*", "*/test.jsonl"))
    assert locate(named, SOURCES["hh_rlhf"], tmp_path).paths == (first, second)


def test_a_path_is_a_file_or_a_folder(tmp_path: Path) -> None:
    own, train, nested = touch(tmp_path, "own.jsonl", "train.jsonl", "sub/train-0.parquet")
    source = SOURCES["preference"]
    assert locate(settings("preference", path=own), source) == Located(tmp_path, (own,))
    found = locate(settings("preference", path=tmp_path), source, Path("ignored"))
    assert found == Located(tmp_path, (nested, train))


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    assert missing(settings("helpsteer", name="steer"), tmp_path) == (
        f"steer: there is no folder {tmp_path}/nvidia/HelpSteer to look for train.jsonl* or validation.jsonl* in: "
        "put the files there, or leave out --data-root"
    )


def test_missing_files_are_one_sentence(tmp_path: Path) -> None:
    touch(tmp_path, "nvidia/HelpSteer/README.md")
    assert missing(settings("helpsteer"), tmp_path) == (
        f"helpsteer: no file in {tmp_path}/nvidia/HelpSteer matches train.jsonl* or validation.jsonl*; "
        "it holds README.md: put the files there, or leave out --data-root"
    )
    assert missing(settings("preference", path=tmp_path, files=("*.parquet",))) == (
        f"preference: no file in {tmp_path} matches *.parquet; it holds nvidia/HelpSteer/README.md: "
        "check `path` and `files` in the recipe"
    )


def test_a_missing_path_is_one_sentence(tmp_path: Path) -> None:
    assert missing(settings("preference", path=tmp_path / "none.jsonl")) == (
        f"preference: there is no file or folder {tmp_path}/none.jsonl: check `path` in the recipe"
    )


def test_neither_repository_nor_path_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(UserError, match="says neither `repo` nor `path`") as caught:
        locate(settings("preference"), SOURCES["preference"])
    assert not isinstance(caught.value, MissingDatasetError)


def test_a_pattern_that_is_no_pattern_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="preference: `files` holds a pattern that cannot be used"):
        locate(settings("preference", path=tmp_path, files=("/train.jsonl",)), SOURCES["preference"])


BESIDE = (
    ".cache/huggingface/download/train.jsonl.lock",
    ".cache/huggingface/download/train.jsonl.metadata",
    ".cache/huggingface/download/train.jsonl",
    ".git/train.json",
    "__MACOSX/._train.jsonl",
    "._train.jsonl",
    "train.jsonl.sha256",
    "train.json.lock",
    "train.json.run.json",
    "trained.json.tmp",
    "train/dataset_info.json",
    "train/state.json",
    "train/cache-0123456789abcdef.arrow",
    "dataset_dict.json",
    "dataset_infos.json",
    "README.md",
)


@pytest.mark.parametrize("source", ["preference", "multi_objective", "preference_suite", "pku_safe_rlhf"])
def test_files_beside_the_data_are_passed_over(tmp_path: Path, source: str) -> None:
    touch(tmp_path, *BESIDE)
    names = (
        "a/train.tsv",
        "b/train.arrow",
        "c/train.csv.gz",
        "train-0.ndjson.zst",
        "train-1.parquet",
        "train.jsonl.bz2",
    )
    rows = touch(tmp_path, *names)
    assert locate(settings(source, path=tmp_path), SOURCES[source]).paths == tuple(rows)


def test_a_folder_below_a_hidden_one_is_not_hidden(tmp_path: Path) -> None:
    (train,) = touch(tmp_path / ".cache" / "set", "train.jsonl")
    assert locate(settings("preference", path=tmp_path / ".cache" / "set"), SOURCES["preference"]).paths == (train,)


@pytest.mark.parametrize("split", ["train", "."])
def test_what_datasets_saves_to_a_disk(tmp_path: Path, split: str) -> None:
    """Its files as it names them: a set of splits has a folder for each, a single split has none."""
    rows = [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    (tmp_path / split).mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(tmp_path / split / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / split / name).write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (path,) = locate(settings("preference", path=tmp_path), SOURCES["preference"]).paths
    assert values(path) == rows


def test_files_that_were_passed_over_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "dataset_info.json", ".hidden.jsonl", "notes.json.lock")
    assert missing(settings("preference_suite", path=tmp_path, files=("*.json*",))) == (
        f"preference_suite: no file in {tmp_path} that matches *.json* holds rows; passed over: .hidden.jsonl, "
        "dataset_info.json and notes.json.lock: check `path` and `files` in the recipe"
    )


def test_a_few_of_many_files_are_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number}.txt" for number in range(9)))
    assert "it holds 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 4 more: " in missing(settings("preference", path=tmp_path))


@pytest.mark.parametrize("twin", ["train.csv", "train.jsonl.gz"])
def test_one_name_in_two_formats_is_refused(tmp_path: Path, twin: str) -> None:
    """Rows in two formats would count twice; files of one name in two folders are two files."""
    touch(tmp_path, "train.jsonl", "a/train.jsonl", twin)
    with pytest.raises(UserError, match="are one name in two formats: name one of the two in `files`") as caught:
        locate(settings("preference", path=tmp_path), SOURCES["preference"])
    assert twin in str(caught.value)
    (tmp_path / twin).unlink()
    assert len(locate(settings("preference", path=tmp_path), SOURCES["preference"]).paths) == 2
