"""Directories and files for keys and values: only their owner may read them, whatever the umask.

What is written in a file is synced by its writer, and its name in the directory by this module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final, cast

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


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


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a rename without this may be undone by a crash."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int, mode: str) -> BinaryIO:
    return cast(BinaryIO, os.fdopen(os.open(path, flags | os.O_CLOEXEC, FILE_MODE), mode))
