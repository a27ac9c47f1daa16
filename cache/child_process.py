"""The bond of a pool's process to the command that started it: Ctrl-C is the command's to handle, and so is its end."""

import multiprocessing
import os
import signal
import threading


def bind_to_parent() -> None:
    """Leave Ctrl-C to the parent of this process, and end this process with it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
