"""One family through the whole chain, and its row in docs/families.md.

`python -m tests.export.family_chain` prints the rows of all families, for the page.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import MODEL_MAPPING
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from cache import UserError
from export.agreement import CONVERSATIONS, check_folder
from export.folder import Exported, write_folder
from export.reward_config import run_config
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.engines.choice import choose_device, load_engine
from extract.engines.engine import Engine
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder, Encoded
from heads.objectives import Scale
from tests.conftest import conversations
from tests.export.conftest import OBJECTIVES, random_parts
from tests.export.family_models import FAMILIES, SHAPES, Family
from tests.export.server_thread import client, listening

LARGEST = 1e-5
"""Largest relative difference of a feature, and of a score, that the page calls equal."""

EXTRACT = ExtractSettings(pack_tokens=512, compile="never")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    engine: str
    """The engine that extraction runs, or 'refused'."""
    difference: float
    """Largest distance of a feature from the one computed one sequence at a time, relative to its size."""
    scores: float
    """Largest difference of a score, relative to its terms, by transformers and by us."""
    refusal: str = ""
    """The sentence of a family that is refused."""

    def line(self, family: Family) -> str:
        """The row as the page has it."""
        backbone = MODEL_MAPPING[CONFIG_MAPPING[family.model_type]].__name__
        shape = SHAPES[family.template]
        if family.position != "end_of_turn":
            shape += f'; `position = "{family.position}"`'
        if self.refusal:
            return f"| {family.name} | `{backbone}` | {shape} | refused | | |"
        features = "yes" if self.difference <= LARGEST else f"no ({self.difference:.0e})"
        scores = "yes" if self.scores <= LARGEST else f"no ({self.scores:.0e})"
        return f"| {family.name} | `{backbone}` | {shape} | {self.engine} | {features} | {scores} |"


def chain(family: Family, folder: Path) -> Row:
    """Take the family through everything that a user does."""
    settings = BackboneSettings(
        model=str(family.write(folder / "backbone")), dtype="float32", max_tokens=1024, position=family.position
    )
    device = choose_device("cpu")
    try:
        backbone = find_backbone(settings)
        encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
        loaded = load_engine("packed", backbone, settings, EXTRACT, device)
    except UserError as error:
        return Row("refused", float("nan"), float("nan"), str(error))
    request = Request()
    for encoded in encoder.encode(conversations(seed=3, prompts=6, longest=60)):
        assert isinstance(encoded, Encoded), encoded
        request.add(encoded)
    alone = SequentialEngine(backbone, settings, EXTRACT, device)
    features, expected = (_features(engine, request) for engine in (loaded.engine, alone))
    distance = np.linalg.norm(features - expected, axis=-1) / np.linalg.norm(expected, axis=-1)

    parts = random_parts(features.shape[-1], "long")
    scales = {name: Scale(low=1, high=5) for name in OBJECTIVES}
    config = run_config(parts, scales, settings, backbone, engine=loaded.name)
    out = folder / "exported"
    scored = RewardModel.of_parts(out, config, parts, backbone, settings, EXTRACT).score(CONVERSATIONS)
    differences: list[float] = []
    write_folder(
        out,
        Exported(backbone, config, parts, {}, "card"),
        "copy",
        lambda partial: differences.append(check_folder(partial, scored, "float32", device)),
    )
    with listening(RewardModel.load(out, device="cpu")) as port, client(port) as http:
        answer = http.post("/classify", json={"model": out.name, "messages": list(CONVERSATIONS[0])})
        assert answer.status_code == 200, answer.text
    return Row(loaded.name, float(distance.max()), differences[0])


def _features(engine: Engine, request: Request) -> NDArray[np.float32]:
    """Features of all sequences of a request, (features, layers * d), in the order of their keys."""
    by_key = {}
    packs = request.plan({bytes(key) for key in request.keys()}, EXTRACT.pack_tokens)
    layouts = [request.layout(pack) for pack in packs]
    for layout, states in zip(layouts, engine.features(layouts), strict=True):
        by_key.update(zip(map(bytes, layout.keys), states.reshape(len(states), -1), strict=True))
    return np.stack([by_key[bytes(key)] for key in request.keys()])


if __name__ == "__main__":
    for each in FAMILIES:
        with tempfile.TemporaryDirectory() as scratch:
            print(chain(each, Path(scratch)).line(each), flush=True)  # noqa: T201 - the page's rows
