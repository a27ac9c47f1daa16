"""Whatever byte of a store is altered, no read returns a wrong value: it is right, or it is refused by name."""

from pathlib import Path

import pytest

from cache import DamageError, FeatureStore, UserError
from cache.formats import FormatName
from tests.cache.rows import FORMATS, flip, new_store, seal, shard_path, some_keys


@pytest.mark.parametrize(("shard_format", "step"), [("parquet", 1), ("hdf5", 5)])
def test_a_flipped_bit_at_any_place_of_a_shard_is_never_returned(
    tmp_path: Path, shard_format: FormatName, step: int
) -> None:
    store = new_store(tmp_path, shard_format)
    expected = seal(store, "a", 0, 20).tolist()
    path = shard_path(store, "a")
    whole = path.read_bytes()
    sentences = []
    for at in range(0, len(whole), step):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(bytes(damaged))
        try:
            got = FeatureStore.open(tmp_path, store.fingerprint.digest).gather(some_keys(0, 20))
        except DamageError as error:
            sentences.append(str(error))
        else:
            assert got.tolist() == expected, f"byte {at} was flipped, and wrong values came back"
    assert all(str(path) in sentence and "\n" not in sentence for sentence in sentences)
    assert len(sentences) * step >= 20 * 2 * (16 + 24), "less was refused than the keys, checksums and values take"


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_shard_that_rots_while_the_store_is_open_is_refused_and_the_others_are_read(
    tmp_path: Path, shard_format: FormatName
) -> None:
    store = new_store(tmp_path, shard_format)
    sealed = [seal(store, "a", 0, 10), seal(store, "b", 10, 20)]
    path = shard_path(store, "b")
    flip(path, path.read_bytes().index(sealed[1][4].astype("<f2").tobytes()) + 3)
    assert store.gather(some_keys(0, 10)).tolist() == sealed[0].tolist()
    with pytest.raises(DamageError, match=r"row 4 of .*/b\..* does not match its checksum: run `armorm cache verify"):
        store.gather(some_keys(0, 20))
    with pytest.raises(DamageError, match="row 4 of"):
        list(store.stream(some_keys(14, 15)))
    assert store.gather(some_keys(15, 20)).tolist() == sealed[1][5:].tolist()


@pytest.mark.parametrize("shard_format", FORMATS)
def test_two_shards_that_changed_places_are_refused(tmp_path: Path, shard_format: FormatName) -> None:
    store = new_store(tmp_path, shard_format)
    seal(store, "a", 0, 10)
    seal(store, "b", 10, 20)
    one, two = shard_path(store, "a"), shard_path(store, "b")
    first, second = one.read_bytes(), two.read_bytes()
    assert len(first) == len(second)
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(DamageError, match="does not match its checksum"):
        store.gather(some_keys(0, 20))
    with pytest.raises(DamageError, match=r"the keys in .* are not those that were sealed"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_shard_that_is_cut_or_gone_is_refused_before_and_after_opening(
    tmp_path: Path, shard_format: FormatName
) -> None:
    store = new_store(tmp_path, shard_format)
    seal(store, "a", 0, 10)
    path = shard_path(store, "a")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DamageError, match=r"has .* bytes instead of"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)
    path.unlink()
    with pytest.raises(DamageError, match=r"is gone although the manifest names it"):
        FeatureStore.open(tmp_path, store.fingerprint.digest)
    with pytest.raises(DamageError, match="cannot be read"):
        store.gather(some_keys(0, 1))


def test_the_manifest_of_another_fingerprint_is_refused(tmp_path: Path) -> None:
    store, other = new_store(tmp_path), new_store(tmp_path, layers=(-1, -2))
    seal(store, "a", 0, 10)
    seal(other, "a", 0, 10)
    (store.folder / "manifest.jsonl").write_bytes((other.folder / "manifest.jsonl").read_bytes())
    with pytest.raises(DamageError, match=rf"names a shard of the store {other.folder.name}, not of"):
        store.refresh()


def test_a_whole_store_under_another_fingerprint_is_refused(tmp_path: Path) -> None:
    store, other = new_store(tmp_path), new_store(tmp_path, layers=(-1, -2))
    seal(other, "a", 0, 10)
    (store.folder / "store.json").write_bytes((other.folder / "store.json").read_bytes())
    with pytest.raises(UserError, match="give the folder its own name back"):
        new_store(tmp_path)


def test_damaged_refusals_are_forgotten_and_never_hit_another_key(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    keys = some_keys(0, 3)
    store.skip({keys[0].tobytes(): "not finite", keys[1].tobytes(): "not finite"})
    flip(store.folder / "refused.jsonl", 12)
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.missing(keys).tolist() == [True, False, True]
