"""Several processes encode what one encodes, in the same order, and end with the one that started them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache import UserError
from extract.collect import Dataset, collect
from extract.settings import DatasetSettings, SplitSettings
from extract.sources import SOURCES
from extract.templating import ConversationEncoder
from extract.tokens import encoder_pool
from extract.tokens.encoder_pool import EncoderPool
from tests.conftest import conversations


def test_the_order_of_rows_and_every_byte_are_those_of_one_process(
    tmp_path: Path, encoder: ConversationEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"Say {n % 700}.", "chosen": f"{n} " * (n % 9), "rejected": "No <|eot_id|>"[: 2 + n % 20]}
        for n in range(2000)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = Dataset(DatasetSettings(source="preference", path=path), SOURCES["preference"], tmp_path, (path,))
    made = []
    for here_first in (10_000, 500):
        monkeypatch.setattr(encoder_pool, "HERE_FIRST", here_first)
        monkeypatch.setattr(encoder_pool, "cores", lambda: 2)
        collected = collect([pairs], [], [], encoder, SplitSettings())
        collected.tables.write(tmp_path / "tables")
        collected.skipped.write(tmp_path / "skipped.jsonl")
        files = [each.read_bytes() for each in sorted((tmp_path / "tables").iterdir())]
        keys = collected.request.keys()
        plan = collected.request.plan(set(map(bytes, keys)), 512)
        made.append((files, (tmp_path / "skipped.jsonl").read_bytes(), keys.tobytes(), plan))
    assert made[0] == made[1]
    assert made[0][1]


def test_a_process_that_is_ended_from_outside_is_a_sentence(
    encoder: ConversationEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_pool, "HERE_FIRST", 0)
    pool = EncoderPool(encoder, 2)
    pool.result(pool.submit(conversations(0, 3), empty=False))
    assert pool._executor is not None
    (process, *_) = pool._executor._processes.values()
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    def encode_until_noticed() -> None:
        for _ in range(50):
            pool.result(pool.submit(conversations(0, 3), empty=False))
            time.sleep(0.1)

    with pytest.raises(UserError, match="a process that tokenises rows was ended"):
        encode_until_noticed()
    pool.close()


KILLED = """
import os, signal
from extract.settings import BackboneSettings
from extract.backbone import find_backbone
from extract.templating import ConversationEncoder
from extract.tokens import encoder_pool
from tests.conftest import TINY, conversations

encoder_pool.HERE_FIRST = 0
settings = BackboneSettings(model=str(TINY), max_tokens=2048)
tiny = find_backbone(settings)
pool = encoder_pool.EncoderPool(ConversationEncoder(tiny.tokenizer, settings, tiny.vocabulary), 2)
pool.result(pool.submit(conversations(0, 3), empty=False))
print(*pool._executor._processes, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_no_process_outlives_a_run_that_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    processes = [int(process) for process in done.stdout.split()]
    assert processes
    deadline = time.monotonic() + 30
    while alive := [process for process in processes if Path(f"/proc/{process}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
