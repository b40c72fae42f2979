"""The file operations that the write-ahead log is made of; tests have a simulated disk instead.

Owns what makes bytes and names durable. Refuses to know what a log is.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final, Protocol

from cluster.private import make_directory, open_file, sync_directory

DISCARDED: Final = ".discarded"
"""Behind the name of a file that is being removed. A start removes what a crash has left of one."""


class Files(Protocol):
    """What a log asks of a file system. Open files are numbers; failures are OSError."""

    def make_directory(self, path: Path) -> None:
        """Make a directory, durably; one that exists is left as it is."""

    def names(self, directory: Path) -> list[str]:
        """The names in a directory; none if it does not exist."""

    def read(self, path: Path) -> bytes:
        """All of a file."""

    def read_part(self, path: Path, offset: int, size: int) -> bytes:
        """At most `size` bytes of a file from `offset` on."""

    def size(self, path: Path) -> int:
        """How many bytes a file has."""

    def free_bytes(self, directory: Path) -> int:
        """How many bytes are free on the file system of a directory."""

    def create(self, path: Path, size: int) -> int:
        """Make, or replace, a file of `size` zero bytes whose space is reserved; open it."""

    def open(self, path: Path) -> int:
        """Open an existing file for writing."""

    def write(self, file: int, data: bytes, offset: int) -> None:
        """Write all of `data`; durable only after `sync`."""

    def sync(self, file: int) -> None:
        """Return when everything written to the file is durable."""

    def close(self, file: int) -> None:
        """Close an open file."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in its directory, durably; replaces a file of that name."""

    def remove(self, path: Path) -> None:
        """Remove a file, durably: after a crash no file that is removed later may be gone first."""

    def discard(self, path: Path) -> None:
        """Remove a file that nobody needs, without waiting for it: a crash may leave it."""


class Disk:
    """The files of the operating system."""

    def make_directory(self, path: Path) -> None:
        make_directory(path)
        # A new name is durable only once its directory is synced; so it is below, too.
        sync_directory(path.parent)

    def names(self, directory: Path) -> list[str]:
        return [path.name for path in directory.iterdir()] if directory.is_dir() else []

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def read_part(self, path: Path, offset: int, size: int) -> bytes:
        file = open_file(path, os.O_RDONLY)
        try:
            return os.pread(file, size, offset)
        finally:
            os.close(file)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def free_bytes(self, directory: Path) -> int:
        status = os.statvfs(directory)
        return status.f_bavail * status.f_frsize

    def create(self, path: Path, size: int) -> int:
        file = open_file(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            # Reserving the space now makes a full disk fail here, where nothing is lost, and not
            # in the middle of a flush. It also fixes the size: a sync need not write a new one.
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            os.close(file)
            path.unlink()
            wanted = f"{error.strerror}, {size} bytes are needed"
            raise OSError(error.errno, wanted, str(path)) from None
        return file

    def open(self, path: Path) -> int:
        return open_file(path, os.O_RDWR)

    def write(self, file: int, data: bytes, offset: int) -> None:
        written = os.pwrite(file, data, offset)
        if written != len(data):
            raise OSError(f"short write: {written} of {len(data)} bytes")

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def close(self, file: int) -> None:
        os.close(file)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)
        sync_directory(target.parent)

    def remove(self, path: Path) -> None:
        path.unlink()
        sync_directory(path.parent)

    def discard(self, path: Path) -> None:
        # To free the blocks of 500 MB takes a tenth of a second, and no message may wait for that.
        # Another name first: the next file of this name may be made at once.
        discarded = path.with_name(path.name + DISCARDED)
        path.rename(discarded)
        unlinking = threading.Thread(
            target=discarded.unlink, args=(True,), name="discard", daemon=True
        )
        unlinking.start()


DISK: Final = Disk()
