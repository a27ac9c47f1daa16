"""A pass on a CPU uses the memory of the pass before it; nothing is handed out anew by the system."""

import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

WORK = """
import resource, sys
import numpy as np
import torch
from extract.backbone import find_backbone
from extract.engines import ENGINES
from extract.packing import PackItem, PackLayout
from extract.settings import BackboneSettings, ExtractSettings
from tests.conftest import TINY

settings = BackboneSettings(model=str(TINY), dtype="float32", max_tokens=2048)
tiny = find_backbone(settings)
engine = ENGINES[sys.argv[1]](tiny, settings, ExtractSettings(compile="never"), torch.device("cpu"))
prompt = np.arange(1000, dtype=np.uint32)
item = PackItem(b"p" * 16, (b"r" * 16,), read_prompt=False)
layout = PackLayout.of([(item, prompt, [prompt])])


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


passes = []
for _ in range(4):
    before = faults()
    list(engine.features([layout]))
    passes.append(faults() - before)
print(min(passes[1:]), resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
@pytest.mark.parametrize(
    "engine",
    ["packed", pytest.param("padded", marks=pytest.mark.slow), pytest.param("sequential", marks=pytest.mark.slow)],
)
def test_a_later_pass_gets_next_to_no_page_from_the_system(engine: str) -> None:
    done = subprocess.run([sys.executable, "-c", WORK, engine], cwd=ROOT, capture_output=True, text=True, check=True)
    pages, page_bytes = map(int, done.stdout.split())
    one_tensor = 2000 * 768 * 4  # of the feed-forward part; a pass makes 32 of that size
    assert pages * page_bytes < one_tensor
