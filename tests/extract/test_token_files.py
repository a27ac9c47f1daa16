"""Token ids on the disk: the tables, keys, plans and packs of a run are those of ids in memory, and damage is found."""

import copy
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cache import UserError
from cache.durable import TEMPORARY
from extract.backbone import Backbone
from extract.collect import Collected, Dataset, collect
from extract.encoded import TokenIds
from extract.settings import BackboneSettings, DatasetSettings, SplitSettings
from extract.sources import SOURCES
from extract.templating import ConversationEncoder
from extract.tokens import token_files
from extract.tokens.kept_encoder import digest_of_encoder
from extract.tokens.texts import name_of_record
from extract.tokens.token_files import TokenFiles

TEXTS = ("Say hello.", "Say 猫.", "Count to seven, and then back again.")
ENCODER = "0123456789abcdef"


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_files, "SEGMENT_TOKENS", 60)


@pytest.fixture
def datasets(tmp_path: Path) -> list[Dataset]:
    """Pairs and a suite that share prompts and responses, with rows that cannot be used."""
    rows = [
        {"prompt": prompt, "chosen": f"{prompt} {number}", "rejected": "No."} for prompt in TEXTS for number in (1, 2)
    ]
    rows.append({"prompt": TEXTS[0], "chosen": "Stop. <|eot_id|>", "rejected": "No."})
    rows.append({"prompt": "word " * 3000, "chosen": "Yes.", "rejected": "No."})
    suite = [{**row, "subset": "math-prm", "id": number} for number, row in enumerate(rows)]
    made = []
    for name, each in (("preference", rows), ("reward_bench", suite)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in each))
        made.append(Dataset(DatasetSettings(source=name, path=path), SOURCES[name], tmp_path, (path,)))
    return made


def run(encoder: ConversationEncoder, datasets: list[Dataset], root: Path | None) -> Collected:
    files = None if root is None else TokenFiles(root, ENCODER)
    return collect(datasets, [], [], encoder, SplitSettings(), tokens=files)


def bytes_of(collected: Collected, folder: Path) -> list[object]:
    """Everything that a run makes of its first pass."""
    collected.tables.write(folder)
    collected.skipped.write(folder / "skipped.jsonl")
    request = collected.request
    plan = request.plan(set(map(bytes, request.keys())), 128)
    layouts = [request.layout(pack).token_ids.tolist() for pack in plan]
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return [request.keys().tolist(), request.tokens(), plan, layouts, files]


def files_of(root: Path) -> list[Path]:
    return sorted((root / "tokens" / ENCODER).iterdir())


def count_texts(encoder: ConversationEncoder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    given: list[str] = []
    token_ids = encoder._token_ids

    def counted(texts: list[str]) -> list[TokenIds]:
        given.extend(texts)
        return token_ids(texts)

    monkeypatch.setattr(encoder, "_token_ids", counted)
    return given


def test_ids_on_the_disk_make_the_same_run_as_ids_in_memory_the_first_time_and_the_second(
    tmp_path: Path, encoder: ConversationEncoder, datasets: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bytes_of(run(encoder, datasets, None), tmp_path / "memory")
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "first") == expected
    files = [(path, path.read_bytes()) for path in files_of(tmp_path)]
    assert len(files) > 1
    tokenised = count_texts(encoder, monkeypatch)
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "second") == expected
    assert [(path, path.read_bytes()) for path in files_of(tmp_path)] == files
    assert tokenised == []  # neither a row that is used, nor one that cannot be
    datasets.reverse()
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "other order")[:4] == expected[:4]


def test_only_what_is_new_is_tokenised(
    tmp_path: Path, encoder: ConversationEncoder, datasets: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(encoder, datasets, tmp_path)
    with datasets[0].paths[0].open("a") as file:
        file.write(json.dumps({"prompt": TEXTS[0], "chosen": "An answer never seen.", "rejected": "No."}) + "\n")
    tokenised = count_texts(encoder, monkeypatch)
    after = bytes_of(run(encoder, datasets, tmp_path), tmp_path / "files")
    assert sum("never seen" in text for text in tokenised) == 1
    assert after == bytes_of(run(encoder, datasets, None), tmp_path / "memory")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, of: Callable[[TokenFiles], bytes]) -> None:
    files = TokenFiles(path.parents[2], ENCODER)
    whole, part = path.read_bytes(), of(files)
    at = whole.index(part)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "a name": lambda path: flip(path, lambda files: files._segments[0].names.tobytes()),
    "a key": lambda path: flip(path, lambda files: files._segments[0].keys.tobytes()),
    "a length": lambda path: flip(path, lambda files: files._segments[0].offsets[1:].tobytes()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_its_texts_are_tokenised_again(
    tmp_path: Path,
    encoder: ConversationEncoder,
    datasets: list[Dataset],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(encoder, datasets, tmp_path)
    path = files_of(tmp_path)[0]
    DAMAGE[damage](path)
    expected = bytes_of(run(encoder, datasets, None), tmp_path / "memory")
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "again") == expected
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]


def test_a_damaged_id_is_named_before_the_backbone_sees_it(
    tmp_path: Path, encoder: ConversationEncoder, datasets: list[Dataset]
) -> None:
    run(encoder, datasets, tmp_path)
    path = files_of(tmp_path)[0]
    flip(path, lambda files: files._segments[0].ids.tobytes())
    with pytest.raises(UserError, match=rf"{path.name} is damaged: remove it, and run `armorm extract` again"):
        bytes_of(run(encoder, datasets, tmp_path), tmp_path / "again")
    path.unlink()
    expected = bytes_of(run(encoder, datasets, None), tmp_path / "memory")
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "third") == expected


def test_files_of_another_encoder_and_unfinished_ones_are_not_used(
    tmp_path: Path, encoder: ConversationEncoder, datasets: list[Dataset], caplog: pytest.LogCaptureFixture
) -> None:
    run(encoder, datasets, tmp_path)
    path = files_of(tmp_path)[0]
    other = TokenFiles(tmp_path, "another")
    other.folder.mkdir()
    (other.folder / path.name).write_bytes(path.read_bytes())
    (other.folder / f"x.arrow{TEMPORARY}").write_bytes(path.read_bytes())
    (other.folder / "folder.arrow").mkdir()
    assert TokenFiles(tmp_path, "another")._segments == []
    assert [f"another/{path.name}" in record.getMessage() for record in caplog.records] == [True]


def test_whatever_token_ids_depend_on_names_another_folder(
    tiny_settings: BackboneSettings, encoder: ConversationEncoder
) -> None:
    digests = {digest_of_encoder(encoder, tiny_settings)}
    changes = ({"max_tokens": 64}, {"position": "last_token"}, {"special_tokens_in_text": "keep"})
    for change in changes:
        digests.add(digest_of_encoder(encoder, tiny_settings.model_copy(update=change)))
    encoder.tokenizer.chat_template, before = encoder.tokenizer.chat_template + " ", encoder.tokenizer.chat_template
    digests.add(digest_of_encoder(encoder, tiny_settings))
    encoder.tokenizer.chat_template = before
    assert len(digests) == 2 + len(changes)
    same = tiny_settings.model_copy(update={"layers": (-1, -2), "dtype": "bfloat16"})
    assert digest_of_encoder(encoder, same) == digest_of_encoder(encoder, tiny_settings)


def test_spans_are_found_over_many_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = TokenFiles(tmp_path, ENCODER)
    given = {rng.bytes(16): rng.integers(0, 1000, rng.integers(1, 90)).astype(np.uint32) for _ in range(100)}
    for name, ids in given.items():
        assert files.find([name]) == [None]
        files.add(name, name, ids)
        assert files.find([name])[0] == files.add(name, name, ids)
    files.finish()
    assert len(files._indexes) < 8 < len(files._segments)
    for reader in (files, TokenFiles(tmp_path, ENCODER)):
        for span, (name, ids) in zip(reader.find(list(given)), given.items(), strict=True):
            assert span is not None
            assert span.key == name
            np.testing.assert_array_equal(reader.read(span.start, span.tokens), ids)


def test_what_a_killed_process_left_half_written_is_removed_and_what_another_writes_now_is_not(
    tmp_path: Path, encoder: ConversationEncoder, datasets: list[Dataset]
) -> None:
    run(encoder, datasets[:1], tmp_path)
    left, young = (files_of(tmp_path)[0].with_name(f"{name}.arrow{TEMPORARY}") for name in ("left", "young"))
    left.touch()
    young.touch()
    before = time.time() - 2 * token_files.LEFT_SECONDS
    os.utime(left, (before, before))
    run(encoder, datasets[:1], tmp_path)
    assert left.exists()  # nothing was written
    datasets[0].paths[0].write_text(json.dumps({"prompt": "New.", "chosen": "Yes.", "rejected": "No."}) + "\n")
    run(encoder, datasets[:1], tmp_path)
    assert [path for path in files_of(tmp_path) if path.name.endswith(TEMPORARY)] == [young]


def test_a_damaged_file_of_reasons_is_named_and_its_rows_are_tokenised_again(
    tmp_path: Path,
    encoder: ConversationEncoder,
    datasets: list[Dataset],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = bytes_of(run(encoder, datasets, tmp_path), tmp_path / "first")
    *_, path = files_of(tmp_path)
    assert path.name.startswith("reasons-")
    path.write_text(path.read_text().replace("more than", "less than"))
    tokenised = count_texts(encoder, monkeypatch)
    assert bytes_of(run(encoder, datasets, tmp_path), tmp_path / "again") == expected
    assert any("word word" in text for text in tokenised)
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]


def test_what_a_suite_may_leave_empty_is_another_record_than_a_pairs() -> None:
    names = [bytes(16), b"response of a row"]
    assert len({name_of_record(names, empty=True), name_of_record(names, empty=False)}) == 2


def test_what_the_template_refuses_is_tried_again(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings, datasets: list[Dataset]
) -> None:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    refusing = "{% if 'seven' in messages[0]['content'] %}{{ raise_exception('No sevens') }}{% endif %}"
    tokenizer.chat_template = refusing + tokenizer.chat_template
    collected = run(ConversationEncoder(tokenizer, tiny_settings, tiny.vocabulary), datasets, tmp_path)
    assert "the chat template refuses it: No sevens" in collected.skipped.reasons("preference")
    *_, path = files_of(tmp_path)
    assert "spells the special token" in path.read_text()
    assert "No sevens" not in path.read_text()
