"""A backbone whose states are not finite for some tokens costs the rows that hold them, each named."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cache import FeatureStore
from cache.formats import FormatName
from cache.verify import verify
from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.run import fill
from extract.settings import BackboneSettings
from tests.extract.test_engines import CPU, EXTRACT
from tests.extract.test_packing_check import settings_of, with_embeddings


def store_for(root: Path, backbone: Backbone, settings: BackboneSettings, form: FormatName) -> FeatureStore:
    return FeatureStore.create(root, backbone.fingerprint(settings, "float16", "packed"), 64, form)


@pytest.mark.parametrize("form", ["parquet", "hdf5"])
def test_rows_with_a_token_whose_embedding_is_nan_are_refused_and_all_others_stored(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], form: FormatName
) -> None:
    request = make_request(seed=8, prompts=30)
    sequences: dict[bytes, set[int]] = {}
    wanted = {key.tobytes() for key in request.keys()}
    for pack in request.plan(wanted, 512):
        layout = request.layout(pack)
        for key, ids in zip(layout.keys, layout.sequences(), strict=True):
            sequences[key.tobytes()] = set(ids.tolist())
    tokens = sorted({token for ids in sequences.values() for token in ids})
    hit = {token: sum(token in ids for ids in sequences.values()) for token in tokens}
    bad = min(hit, key=lambda token: abs(hit[token] - len(sequences) // 4))
    expected = {key for key, ids in sequences.items() if bad in ids}
    assert 0 < len(expected) < len(sequences)

    def spoil(embeddings: torch.Tensor) -> None:
        embeddings[bad, 3] = torch.nan

    (tmp_path / "model").mkdir()
    backbone = with_embeddings(tmp_path / "model", tiny, spoil)
    settings = settings_of(tmp_path / "model")
    store = store_for(tmp_path / "features", backbone, settings, form)
    engine = PackedEngine(backbone, settings, EXTRACT, CPU)
    outcome = fill(store, request, lambda: engine, pack_tokens=512, shard_rows=10)
    assert set(store.skipped) == expected
    assert all("not finite" in reason for reason in store.skipped.values())
    assert outcome.features_new == len(store) == len(sequences) - len(expected)
    assert verify(store.folder).problems == []
    assert not store.missing(request.keys()).any()


@pytest.mark.parametrize("form", ["parquet", "hdf5"])
def test_a_backbone_that_fails_for_every_row_leaves_a_store_that_can_be_read(
    tmp_path: Path,
    tiny: Backbone,
    make_request: Callable[..., Request],
    caplog: pytest.LogCaptureFixture,
    form: FormatName,
) -> None:
    """The chat template's own tokens are in every row: shards without a row, each refusal with its reason."""
    request = make_request(seed=8, prompts=10)

    def spoil(embeddings: torch.Tensor) -> None:
        embeddings[0] = torch.nan  # BOS

    (tmp_path / "model").mkdir()
    backbone = with_embeddings(tmp_path / "model", tiny, spoil)
    settings = settings_of(tmp_path / "model")
    store = store_for(tmp_path / "features", backbone, settings, form)
    engine = PackedEngine(backbone, settings, EXTRACT, CPU)
    with caplog.at_level(logging.WARNING):
        assert fill(store, request, lambda: engine, pack_tokens=512, shard_rows=10).features_new == 0
    assert len(store.skipped) == len(request.keys())
    assert "cannot be stored and are skipped" in caplog.text
    assert verify(store.folder).problems == []
    assert len(FeatureStore.open(tmp_path / "features", store.fingerprint.digest)) == 0
