"""Where rows come from and go to: files, pipes, and standard input and output, which `-` stands for."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cache import UserError
from extract.files.faults import faults_of
from extract.files.file_row import FileRow
from extract.files.json_lines import line_rows
from extract.files.malformed import Malformed
from extract.files.rows import read_rows, refuse_other_files

log = logging.getLogger(__name__)

STANDARD = Path("-")
"""Standard input or output, as a path."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to be read."""

    path: Path
    state: os.stat_result

    @classmethod
    def of(cls, path: Path, option: str = "--input") -> "Source":
        """The source at a path.

        Args:
            path: the path.
            option: the option that names it, for errors.

        Raises:
            UserError: there is nothing, or nothing that rows can be read from.
        """
        state = _state(path, 0)
        if state is None:
            raise UserError(f"there is no file {path}: name one with {option}, or - for standard input")
        if stat.S_ISREG(state.st_mode) and not _is_standard(path, state, 0):
            refuse_other_files(path)
        elif not (stat.S_ISREG(state.st_mode) or _flows(state)):
            raise UserError(f"{option} {path} is a {_kind(state)}: name a file, a pipe, or - for standard input")
        return cls(path, state)

    def rows(self) -> Iterator[FileRow | Malformed]:
        """The rows: those of a file of any kind that extraction reads, or the JSON lines of a pipe.

        Raises:
            UserError: the file is damaged, or holds something else than rows.
        """
        standard = _is_standard(self.path, self.state, 0)
        if not (standard or _flows(self.state)):
            yield from read_rows(self.path)
            return
        if not standard and stat.S_ISFIFO(self.state.st_mode):
            log.info("reading %s once something writes to it", self.path)
        with faults_of(self.path), os.fdopen(os.dup(0), "rb") if standard else self.path.open("rb") as file:
            yield from line_rows(file, None)


@dataclass(frozen=True, slots=True)
class Destination:
    """The place that scored rows are written to."""

    path: Path
    state: os.stat_result | None
    """None: the file is not there yet."""

    @classmethod
    def of(cls, path: Path) -> "Destination":
        """The destination at a path.

        Raises:
            UserError: rows cannot be written there.
        """
        state = _state(path, 1)
        if state is not None and not (stat.S_ISREG(state.st_mode) or _flows(state)):
            raise UserError(f"--output {path} is a {_kind(state)}: name a file, a pipe, or - for standard output")
        if state is None:
            check_folder(path, "--output")
        return cls(path, state)

    @property
    def flows(self) -> bool:
        """Whether rows leave as they are written, so that nothing is there to go on from after an interruption."""
        return self.state is not None and (_flows(self.state) or self.is_standard)

    @property
    def is_standard(self) -> bool:
        """Whether it is standard output."""
        return self.state is not None and _is_standard(self.path, self.state, 1)

    def open(self) -> BinaryIO:
        """For appending."""
        if self.is_standard:
            return os.fdopen(os.dup(1), "wb")
        if self.state is not None and stat.S_ISFIFO(self.state.st_mode):
            return os.fdopen(_open_pipe(self.path), "wb")
        return self.path.open("wb" if self.flows else "ab")  # a device has no end to append to


def check_folder(path: Path, option: str) -> None:
    """Refuse a path at which no file can be made.

    Args:
        path: of the file.
        option: the option that names it.

    Raises:
        UserError: the folder that it would be made in is none, or may not be written to.
    """
    folder = next(each for each in path.absolute().parents if each.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UserError(f"{option} {path} cannot be made in {folder}: name a file in a folder of yours")


def check_apart(source: Source, destination: Destination) -> None:
    """Refuse to write into what is read.

    Raises:
        UserError: both are one file or pipe.
    """
    if destination.state is None or stat.S_ISCHR(destination.state.st_mode):  # a terminal is read and written
        return
    if os.path.samestat(source.state, destination.state):
        raise UserError(f"--input and --output are both {source.path}: name another --output")


def _state(path: Path, standard: int) -> os.stat_result | None:
    try:
        return os.fstat(standard) if path == STANDARD else path.stat()
    except OSError as error:
        if path == STANDARD:
            raise UserError(f"standard {('input', 'output')[standard]} is closed: name a file in place of -") from None
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return None
        raise UserError(f"{path} cannot be used ({error.strerror}): name another file") from None


def _is_standard(path: Path, state: os.stat_result, standard: int) -> bool:
    """Whether a path is standard input or output, perhaps by a name such as /dev/stdout."""
    if path == STANDARD:
        return True
    try:
        return os.path.samestat(state, os.fstat(standard))
    except OSError:  # it is closed
        return False


def _flows(state: os.stat_result) -> bool:
    return stat.S_ISFIFO(state.st_mode) or stat.S_ISCHR(state.st_mode)


def _kind(state: os.stat_result) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFSOCK: "socket", stat.S_IFBLK: "block device"}
    return kinds.get(stat.S_IFMT(state.st_mode), "special file")


def _open_pipe(path: Path) -> int:
    """A named pipe for writing, which waits until something reads it, and says so."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        log.info("nothing reads %s yet: waiting", path)
        return os.open(path, os.O_WRONLY)
    os.set_blocking(descriptor, True)
    return descriptor
