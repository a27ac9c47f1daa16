"""What is asked of the hub, and its refusals in one sentence each."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from cache.errors import UserError
from extract.files.locate import Located, locate
from extract.files.missing import MissingDatasetError
from extract.sources import SOURCES
from tests.extract.files.written import missing, settings, touch


def test_the_hub_is_asked_for_the_patterns_and_the_revision_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    snapshot = tmp_path / "snapshots" / "c0ffee"
    (train,) = touch(snapshot, "train.parquet")

    def download(repo: str, **rest: Any) -> str:
        asked.update(rest, repo=repo)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    named = settings("preference", repo="org/set", revision="v1", files=("**/train*.parquet",))
    assert locate(named, SOURCES["preference"]) == Located(snapshot, (train,), "c0ffee")
    assert asked == {
        "repo": "org/set",
        "repo_type": "dataset",
        "revision": "v1",
        # The hub's own matching does not let '**/' stand for no folder.
        "allow_patterns": ["**/train*.parquet", "train*.parquet"],
    }


def test_a_repository_without_the_files_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert missing(settings("prometheus")) == (
        f"prometheus: no file in {tmp_path} matches new_feedback_collection.json; it is empty: "
        "check `files` against prometheus-eval/Feedback-Collection on the hub"
    )


def without_response(kind: type[Exception]) -> Exception:
    """An error of the hub as it is raised, less the HTTP answer its constructor asks for."""
    error = kind.__new__(kind)
    Exception.__init__(error, "404 Client Error.\nfor url: https://huggingface.co/api")
    return error


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            errors.RepositoryNotFoundError,
            "shp: there is no data set org/set on the hub: check `repo` in the recipe, or run `hf auth login` if it "
            "is private",
        ),
        (
            errors.GatedRepoError,
            "shp: org/set is gated on the hub: accept its terms on https://huggingface.co/datasets/org/set and run "
            "`hf auth login`",
        ),
        (
            errors.RevisionNotFoundError,
            "shp: org/set has no revision v9 on the hub: check `revision` in the recipe",
        ),
        (
            errors.LocalEntryNotFoundError,
            "shp: the hub cannot be reached and org/set at v9 is not cached: connect to the network, or give a "
            "local copy with --data-root",
        ),
        (
            errors.OfflineModeIsEnabled,
            "shp: the hub cannot be reached and org/set at v9 is not cached: connect to the network, or give a "
            "local copy with --data-root",
        ),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception], expected: str
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise without_response(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert missing(settings("shp", repo="org/set", revision="v9")) == expected


@pytest.mark.parametrize("kind", [OSError, errors.HfHubHTTPError, RuntimeError])
def test_any_other_failure_of_a_download_is_a_sentence_but_no_missing_set(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise without_response(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(UserError) as caught:
        locate(settings("shp"), SOURCES["shp"])
    assert str(caught.value) == "shp: stanfordnlp/SHP could not be downloaded (404 Client Error.): try again"
    assert not isinstance(caught.value, MissingDatasetError)


def test_the_hubs_own_library_refuses_offline_and_bad_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert missing(settings("shp")).startswith("shp: the hub cannot be reached and stanfordnlp/SHP is not cached")
    with pytest.raises(UserError, match="'a/b/c' is not a repository's name"):
        locate(settings("shp", repo="a/b/c"), SOURCES["shp"])
