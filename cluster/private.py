"""Directories and files for keys and values: only their owner may read them, whatever the umask.

What is written in a file is synced by its writer, and its name in the directory by this module. So
that connections, which strangers open, never leave a process without files, it keeps some
descriptors back for these.
"""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, cast

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

RESERVED_DESCRIPTORS: Final = 32
"""Below the hard limit of open files, and above the soft one, which a process sets for itself."""

Opened = TypeVar("Opened")

_reserve = threading.Lock()


def make_directory(path: Path) -> None:
    """Make a directory if there is none, and those above it; an existing one keeps its mode."""
    if not path.parent.exists():
        make_directory(path.parent)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def create(path: Path) -> BinaryIO:
    """Open a new file for writing; an existing file of that name is replaced."""
    path.unlink(missing_ok=True)
    return _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb")


def append(path: Path) -> BinaryIO:
    """Open a file for writing at its end; it is made if there is none."""
    return _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, "ab")


def read(path: Path) -> BinaryIO:
    """Open a file for reading."""
    return _open(path, os.O_RDONLY, "rb")


def open_file(path: Path, flags: int) -> int:
    """Open a file, if need be with a descriptor that is kept back."""
    return opened(lambda: os.open(path, flags | os.O_CLOEXEC, FILE_MODE))


def opened(opening: Callable[[], Opened]) -> Opened:
    """What this call opens, if need be with descriptors that are kept back.

    The limit is raised for this one call only: at the limit, libzmq takes each descriptor that is
    free for the next connection that waits.
    """
    try:
        return opening()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    with _reserve:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            return opening()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a rename without this may be undone by a crash."""
    descriptor = open_file(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int, mode: str) -> BinaryIO:
    return cast(BinaryIO, os.fdopen(open_file(path, flags), mode))
