"""The memory of an extraction does not grow with the features it computes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

WORK = """
import resource, sys
from pathlib import Path
import torch
from cache import FeatureStore
from extract.backbone import find_backbone
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder
from tests.conftest import TINY, conversations

torch.set_num_threads(1)
settings = BackboneSettings(model=str(TINY), dtype="float32", max_tokens=512, layers=tuple(range(9)))
tiny = find_backbone(settings)
encoder = ConversationEncoder(tiny.tokenizer, settings, tiny.vocabulary)
store = FeatureStore.create(Path(sys.argv[1]), tiny.fingerprint(settings, "float16", "packed"), 256)
engine = PackedEngine(tiny, settings, ExtractSettings(), torch.device("cpu"))
request = Request()
made = conversations(0, int(sys.argv[2]), most_responses=1, longest=8)
for start in range(0, len(made), 100):  # the tokenizer's own objects are large, and go with their batch
    for encoded in encoder.encode(made[start : start + 100]):
        request.add(encoded)
outcome = fill(store, request, lambda: engine, pack_tokens=512, shard_rows=100)
payload = outcome.features_new * 9 * 256 * 4
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, payload)
"""


def peak_and_payload(root: Path, rows: int) -> tuple[int, int]:
    """Largest memory of a process that extracts so many conversations, and what its float32 features take. Bytes."""
    command = [sys.executable, "-c", WORK, str(root), str(rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    peak, payload = done.stdout.split()
    return int(peak), int(payload)


@pytest.mark.slow
def test_peak_memory_is_flat_in_the_number_of_rows(tmp_path: Path) -> None:
    measured = [peak_and_payload(tmp_path / str(rows), rows) for rows in (200, 800, 3200)]
    (_, small), (middle_peak, middle), (peak, payload) = measured
    assert small < middle < payload
    # The largest run computes 35 MB of features more; of those, memory may see the keys, the token ids and the plan.
    assert payload - middle > 30e6
    assert peak - middle_peak < 12e6, measured
