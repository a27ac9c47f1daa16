"""One writer: a command that writes to a run keeps every other one from doing so; a dead process holds nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from cache.lease import lease
from pipelines.artefacts import LEASES

REMEDY = "`runs` or `name`"


class RunLease:
    """The lease of one run's folder.

    Args:
        folder: the run's folder, which may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: ExitStack | None = None
        self._taken = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run while the block runs; a folder that does not exist yet is held from `take` on.

        Raises:
            UserError: another command is writing to it.
        """
        if self._held is not None:
            yield
            return
        with ExitStack() as self._held:
            try:
                if self._folder.is_dir():
                    self.take()
                yield
            finally:
                self._held, self._taken = None, False

    def take(self) -> None:
        """Take the lease, if the run is to be held and is not yet.

        Raises:
            UserError: another command is writing to it.
        """
        if self._held is not None and not self._taken:
            self._held.enter_context(lease(self._folder / LEASES / "run.lock", self._folder, REMEDY))
            self._taken = True

    def of_scores(self, scores: Path) -> AbstractContextManager[None]:
        """Hold the results of one scorer, for hours maybe, and nothing else.

        Raises:
            UserError: another command is writing them.
        """
        return lease(self._folder / LEASES / f"{scores.parent.name}-{scores.stem}.lock", scores, REMEDY)
