"""An engine is loaded in another process from settings alone, and only with the backbone that is meant."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines.loader import EngineLoader
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder, Encoded
from tests.conftest import TINY, conversations


def test_it_arrives_by_pickle_and_computes_the_same(
    tiny: Backbone, tiny_settings: BackboneSettings, encoder: ConversationEncoder
) -> None:
    request = Request()
    for encoded in encoder.encode(conversations(seed=1, prompts=3)):
        assert isinstance(encoded, Encoded)
        request.add(encoded)
    (pack,) = request.plan({key.tobytes() for key in request.keys()}, 4096)
    sent = EngineLoader.of("packed", tiny, tiny_settings, ExtractSettings(device="auto")).on("cpu")
    there = pickle.loads(pickle.dumps(sent))()  # noqa: S301  # as Ray sends it
    here = PackedEngine(tiny, tiny_settings, ExtractSettings(), torch.device("cpu"))
    layout = request.layout(pack)
    np.testing.assert_array_equal(next(there.features([layout])), next(here.features([layout])))


def test_paths_do_not_depend_on_where_it_is_loaded(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    template = TINY / "chat_template.jinja"
    settings = tiny_settings.model_copy(
        update={"model": os.path.relpath(TINY), "chat_template": Path(os.path.relpath(template))}
    )
    sent = EngineLoader.of("packed", replace(tiny, folder=Path(settings.model)), settings, ExtractSettings())
    assert (sent.backbone.model, sent.backbone.chat_template) == (str(TINY.resolve()), template.resolve())


def test_a_backbone_of_the_hub_is_named_with_its_commit(tiny: Backbone) -> None:
    found = replace(tiny, folder=Path("/hub/models--org--name/snapshots/0a1b"), identity="org/name@0a1b")
    settings = BackboneSettings(model="org/name", revision="main")
    sent = EngineLoader.of("packed", found, settings, ExtractSettings())
    assert (sent.backbone.model, sent.backbone.revision) == ("org/name", "0a1b")


def test_another_backbone_in_its_place_is_refused(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    meant = EngineLoader.of("packed", replace(tiny, identity="folder:other"), tiny_settings, ExtractSettings())
    with pytest.raises(UserError, match="is not the one that the run was planned with: put it on a file system"):
        meant()
