"""The thread that copies a store's file while the store goes on.

It owns the copy until the copy is whole and durable under its name, or removed. It does not know
who asked for a copy, or what is in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lmdb

from actors.language.errors import StorageError
from actors.store.disk.lmdb_files import write_copy
from cluster.private import sync_directory

WhenDone = Callable[[StorageError | None], None]
"""Called in the copier's thread when a copy ends: with None, or with what went wrong."""

Work = Callable[[], None]
"""Called in the copier's thread when the copy is whole; may raise StorageError."""


def no_more() -> None:
    """Leave the copy as it is."""


class Copier:
    """Makes copies of one environment, one at a time."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.is_busy = False

    def begin(
        self,
        environment: lmdb.Environment,
        transaction: lmdb.Transaction,
        path: Path,
        done: WhenDone,
        then: Work = no_more,
    ) -> None:
        """Begin to copy what a transaction sees; the transaction is the copier's from now on."""
        assert not self.is_busy, "one copy at a time"
        self.is_busy = True
        self._thread = threading.Thread(
            target=self._copy,
            args=(environment, transaction, path, done, then),
            name="store copy",
            daemon=True,
        )
        self._thread.start()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the copy that is being made ends; False if it has not ended in time."""
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _copy(
        self,
        environment: lmdb.Environment,
        transaction: lmdb.Transaction,
        path: Path,
        done: WhenDone,
        then: Work,
    ) -> None:
        # Under another name until it is whole: a crash must not leave half a copy under its name.
        part = path.with_name(path.name + ".part")
        error: StorageError | None = None
        try:
            try:
                write_copy(environment, transaction, part)
            finally:
                # While a reader is open, LMDB keeps every page that it sees: the file would grow.
                transaction.abort()
            part.rename(path)
            sync_directory(path.parent)
            then()
        except StorageError as failure:
            error = failure
        except (lmdb.Error, OSError) as failure:
            error = StorageError(f"{path}: cannot be written: {failure}")
            with suppress(OSError):
                part.unlink(missing_ok=True)
        finally:
            # Before `done`: it tells the owner, which may begin the next copy at once.
            self.is_busy = False
        done(error)
