"""Encoding in several processes, once there are so many conversations that starting them pays."""

import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize

from cache import UserError
from cache.child_process import bind_to_parent
from cache.cores import cores
from extract.encoded import Encoded
from extract.records import Prompt
from extract.template.renderer import renderer
from extract.templating import ConversationEncoder, NotEncodableError

log = logging.getLogger(__name__)

HERE_FIRST = 16_384
"""Conversations that are encoded in this process before others are started: some ten seconds of one core, and a process
takes three to start."""

BATCHES_AHEAD = 2
"""Batches that wait for each process, so that none is idle while this one is busy."""

Results = list[Encoded | NotEncodableError]


class EncoderPool:
    """Encodes batches in this process, and from `HERE_FIRST` conversations on in one process for each core.

    The tokenizer's own threads share out tokenising alone, which is half of the work: templates, checks and conversion
    of its results stay in one thread. So each of the processes does all of it for whole batches, in one thread.
    """

    def __init__(self, encoder: ConversationEncoder, processes: int | None = None) -> None:
        """Start nothing yet.

        Args:
            encoder: it is copied to the processes.
            processes: their number, by default one for each core; with fewer than two, none is started.
        """
        self._encoder = encoder
        self._processes = cores() if processes is None else processes
        self._executor: ProcessPoolExecutor | None = None
        self._encoded = 0

    @property
    def ahead(self) -> int:
        """Number of batches to submit before the first result is waited for."""
        return 0 if self._executor is None else BATCHES_AHEAD * self._processes

    def submit(self, conversations: Sequence[tuple[Prompt, tuple[str, ...]]], *, empty: bool) -> "Future[Results]":
        """Encode a batch, now or while this process goes on; `empty` as `ConversationEncoder.encode` takes it."""
        if not conversations or self._processes < 2 or self._encoded < HERE_FIRST:
            self._encoded += len(conversations)
            done: Future[Results] = Future()
            done.set_result(self._encoder.encode(conversations, empty=empty))
            return done
        if self._executor is None:
            log.info("there are many rows to tokenise: %s processes share them", self._processes)
            self._executor = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), _begin, (self._encoder,)
            )
        try:
            return self._executor.submit(_encode, conversations, empty)
        except BrokenProcessPool:
            raise _ended() from None

    def result(self, submitted: "Future[Results]") -> Results:
        """Wait for a batch.

        Raises:
            UserError: a process was ended from outside.
        """
        try:
            return submitted.result()
        except BrokenProcessPool:
            raise _ended() from None

    def close(self) -> None:
        """End the processes; batches that no process has begun are dropped."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def _ended() -> UserError:
    return UserError(
        "a process that tokenises rows was ended, most likely for lack of memory: run `armorm extract` again, which"
        " goes on with what was tokenised, with fewer cores if need be (taskset)"
    )


_encoder: ConversationEncoder | None = None
"""The encoder of a process of the pool."""


def _begin(encoder: ConversationEncoder) -> None:
    global _encoder
    _encoder = encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the other cores have processes of their own
    bind_to_parent()
    Finalize(None, renderer().close, exitpriority=1)  # `atexit` does not run here


def _encode(conversations: Sequence[tuple[Prompt, tuple[str, ...]]], empty: bool) -> Results:
    assert _encoder is not None
    return _encoder.encode(conversations, empty=empty)
