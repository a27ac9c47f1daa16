"""Features come back by key as they were sealed, in both formats, and what is missing is known."""

from pathlib import Path

import numpy as np
import pytest

from cache import FeatureStore, UserError
from cache.formats import FormatName
from cache.keys import as_keys
from cache.precision import StoreDtype
from tests.cache.rows import FORMATS, HIDDEN, fingerprint, new_store, seal, shard_path, some_features, some_keys


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 0.0), ("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_features_come_back_in_request_order_within_the_dtypes_rounding(
    tmp_path: Path, shard_format: FormatName, dtype: StoreDtype, bound: float
) -> None:
    store = new_store(tmp_path, shard_format, dtype)
    rng = np.random.default_rng(0)
    sealed = rng.normal(size=(3500, 2, HIDDEN)).astype(np.float32)
    with store.writing():
        store.seal("a", some_keys(0, 3000), np.arange(3000, dtype=np.int32), sealed[:3000])
        store.seal("b", some_keys(3000, 3500), np.arange(3000, 3500, dtype=np.int32), sealed[3000:])
    store.refresh()
    wanted = rng.integers(0, 3500, 400)
    got = store.gather(some_keys(0, 3500)[wanted])
    assert got.shape == (400, 2, HIDDEN)
    assert got.dtype == np.float32
    assert (np.abs(got - sealed[wanted]) <= bound * np.abs(sealed[wanted]) + 1e-7).all()
    assert store.n_tokens(some_keys(0, 3500)[wanted]).tolist() == wanted.tolist()


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize("layers", [(-1,), (-1, -2, -3, -4)])
def test_every_layer_comes_back(tmp_path: Path, shard_format: FormatName, layers: tuple[int, ...]) -> None:
    store = new_store(tmp_path, shard_format, layers=layers)
    sealed = seal(store, "a", 0, 30)
    assert sealed.shape == (30, len(layers), HIDDEN)
    assert store.gather(some_keys(0, 30)).tolist() == sealed.tolist()


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize("batch_rows", [1, 7, 40, None])
def test_a_stream_gives_every_position_once_in_shard_order(
    tmp_path: Path, shard_format: FormatName, batch_rows: int | None
) -> None:
    store = new_store(tmp_path, shard_format)
    sealed = np.concatenate([seal(store, "a", 0, 40), seal(store, "b", 40, 55), seal(store, "c", 55, 100)])
    wanted = np.random.default_rng(0).integers(0, 100, 250)  # some come several times, some not at all
    keys = some_keys(0, 100)[wanted]
    batches = list(store.stream(keys, batch_rows))
    positions = np.concatenate([batch for batch, _ in batches])
    assert sorted(positions.tolist()) == list(range(250))
    assert (np.diff(wanted[positions]) >= 0).all(), "not in the order of the shards"
    for batch, features in batches:
        assert features.tolist() == sealed[wanted[batch]].tolist()
        assert batch_rows is None or len(np.unique(wanted[batch])) <= batch_rows
    assert store.in_shard_order(keys).tolist() == some_keys(0, 100)[np.unique(wanted)].tolist()


def test_missing_names_exactly_the_keys_that_are_not_there(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    assert store.missing(some_keys(0, 5)).all()
    seal(store, "a", 0, 10)
    assert store.missing(some_keys(5, 15)).tolist() == [False] * 5 + [True] * 5


def test_gathering_a_missing_key_is_refused_with_the_remedy(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 10)
    for read in (store.gather, store.n_tokens, store.in_shard_order):
        with pytest.raises(UserError, match=r"1 of 3 features are not in .*: run `armorm extract` first"):
            read(some_keys(8, 11))


@pytest.mark.parametrize("shard_format", FORMATS)
def test_empty_requests_and_empty_shards_are_nothing_special(tmp_path: Path, shard_format: FormatName) -> None:
    store = new_store(tmp_path, shard_format)
    assert store.gather(as_keys([])).shape == (0, 2, HIDDEN)
    seal(store, "empty", 0, 0)  # all rows of a shard may have been refused
    sealed = seal(store, "a", 0, 3)
    assert len(store.entries) == 2
    assert store.gather(some_keys(0, 3)).tolist() == sealed.tolist()


def test_another_fingerprint_is_another_store(tmp_path: Path) -> None:
    one = new_store(tmp_path)
    seal(one, "a", 0, 10)
    other = new_store(tmp_path, layers=(-1, -2))
    assert other.folder != one.folder
    assert other.missing(some_keys(0, 10)).all()


def test_the_other_format_is_refused_by_name(tmp_path: Path) -> None:
    seal(new_store(tmp_path, "hdf5"), "a", 0, 10)
    with pytest.raises(UserError, match=r"holds hdf5 shards and the recipe asks for parquet: set store\.format to"):
        new_store(tmp_path, "parquet")


def test_a_renamed_store_folder_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.folder.rename(tmp_path / "0123456789abcdef")
    with pytest.raises(UserError, match="give the folder its own name back"):
        FeatureStore.open(tmp_path, "0123456789abcdef")


def test_a_store_that_lost_its_description_gets_it_back_with_all_it_holds(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    sealed = seal(store, "a", 0, 10)
    description = store.folder / "store.json"
    before = description.read_bytes()
    for at in range(0, len(before), 3):
        damaged = bytearray(before)
        damaged[at] ^= 1
        description.write_bytes(bytes(damaged))
        with pytest.raises(UserError, match=r"is damaged|layout version|there is no feature store|own name"):
            FeatureStore.open(tmp_path, store.fingerprint.digest)
    description.unlink()
    again = new_store(tmp_path)
    assert description.read_bytes() == before
    assert again.gather(some_keys(0, 10)).tolist() == sealed.tolist()


def test_a_refused_key_is_not_missing_any_more_and_its_reason_is_kept(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    keys = some_keys(0, 3)
    store.skip({keys[1].tobytes(): "not finite"})
    again = FeatureStore.open(tmp_path, store.fingerprint.digest)
    assert again.missing(keys).tolist() == [True, False, True]
    assert again.skipped == {keys[1].tobytes(): "not finite"}


@pytest.mark.parametrize(
    ("third_key", "value", "sentence"),
    [
        (1, 0.0, "was given a key twice"),
        (50, 0.0, "a key that is in the store"),
        (3, np.nan, r"row 1 of shard b cannot be stored: .* not finite"),
        (3, 7e4, r"row 1 of shard b cannot be stored: .* beyond float16's largest"),
    ],
)
def test_what_must_not_be_sealed_is_refused_and_leaves_nothing(
    tmp_path: Path, third_key: int, value: float, sentence: str
) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 50, 60)
    keys = np.concatenate([some_keys(1, 3), some_keys(third_key, third_key + 1)])
    features = some_features(1, 4)
    features[1, 1, 2] = value
    with store.writing(), pytest.raises(ValueError, match=sentence):
        store.seal("b", keys, np.zeros(3, dtype=np.int32), features)
    assert not shard_path(store, "b").exists()
    assert len(FeatureStore.open(tmp_path, store.fingerprint.digest)) == 10


@pytest.mark.parametrize("shard_format", FORMATS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, shard_format: FormatName) -> None:
    stores = [new_store(tmp_path / name, shard_format) for name in ("one", "two")]
    for store in stores:
        seal(store, "a", 0, 100)
    one, two = (shard_path(store, "a").read_bytes() for store in stores)
    assert one == two


def test_the_fingerprint_does_not_depend_on_the_format(tmp_path: Path) -> None:
    assert new_store(tmp_path / "p", "parquet").folder.name == fingerprint("float16").digest
    assert new_store(tmp_path / "h", "hdf5").folder.name == fingerprint("float16").digest
