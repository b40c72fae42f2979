"""The way of a copy's bytes to the disk: in parts, each synced, with a pause after each.

A disk that must make a whole copy durable at once lets the log's syncs wait meanwhile, on this node
and on all others that share the disk. What the bytes are is not known here.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cluster.private import opened

PART_BYTES: Final = 1 << 20
"""After 1 MiB the file is synced; then the disk is left to others for as long as that has taken."""


@contextmanager
def poured_into(file: int) -> Iterator[int]:
    """A pipe whose bytes a thread of its own writes to a file; after the block they are durable.

    An OSError of the file ends the pipe, and is raised at the end of the block.
    """
    source, pipe = opened(os.pipe)
    failures: list[OSError] = []
    thread = threading.Thread(
        target=_pour, args=(source, file, failures), name="store copy's file", daemon=True
    )
    thread.start()
    try:
        yield pipe
    finally:
        os.close(pipe)
        thread.join()
        if failures:
            # It is why the writer of the pipe has failed, too.
            raise failures[0]


def _pour(source: int, file: int, failures: list[OSError]) -> None:
    try:
        fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, PART_BYTES)
        while _pour_part(source, file):
            pass
    except OSError as error:
        failures.append(error)
    finally:
        os.close(source)


def _pour_part(source: int, file: int) -> bool:
    """Write and sync a part, and pause; whether more may follow."""
    began = time.monotonic()
    left = PART_BYTES
    # The bytes go from the pipe to the file inside the system: Python's lock is not held.
    while left and (moved := os.splice(source, file, left)):
        left -= moved
    os.fsync(file)
    if not left:
        time.sleep(time.monotonic() - began)
    return not left
