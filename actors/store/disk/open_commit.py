"""One commit of a store's file, portion by portion in one transaction of LMDB.

It owns the transaction from its first portion to its end. LMDB binds a transaction that writes to a
thread, so all calls of one commit come from one thread. What is written is `tables.py`'s; when the
next commit begins, and who reads what meanwhile, is `backend.py`'s.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import lmdb

from actors.language.errors import StorageError
from actors.store.disk.file_errors import FileErrors
from actors.store.disk.tables import Tables, cost_of, put_batch
from actors.store.storage import Batch

PORTION_ROWS: Final = 500
PORTIONS: Final = 8
COMMIT_PORTION_ROWS_MAX: Final = 2_000
"""A portion costs as much as 500 rows: half a millisecond. A large commit has larger ones, up to
2,000 rows, so that it ends after 8: it must keep pace with the writes between them."""


class LmdbCommit:
    """A commit of removals and a batch; `is_full`: the map has no room for it, nothing was done."""

    def __init__(
        self,
        environment: lmdb.Environment,
        tables: Tables,
        errors: FileErrors,
        removed: list[int],
        batch: Batch,
    ) -> None:
        self.removed = removed
        self.batch = batch
        self.is_full = False
        self._environment = environment
        self._tables = tables
        self._errors = errors
        self._portion = min(
            COMMIT_PORTION_ROWS_MAX, max(PORTION_ROWS, cost_of(removed, batch) // PORTIONS)
        )
        # Open from the first portion on.
        self._transaction: lmdb.Transaction | None = None
        self._pieces = self._put()

    def write(self) -> bool:
        """Write a portion; whether more is left to write."""
        left = self._portion
        try:
            for cost in self._pieces:
                left -= cost
                if left <= 0:
                    return True
        except lmdb.MapFullError:
            self._give_up()
        except (lmdb.Error, OSError) as error:
            raise self._failed(error) from None
        except StorageError:
            self.abort()
            raise
        return False

    def write_all(self) -> None:
        """Write all that is left."""
        while self.write():
            pass

    def sync(self) -> None:
        """Make durable, as a whole, what was written."""
        if self._transaction is None:
            return  # the map is full
        try:
            self._transaction.commit()
            self._transaction = None
        except lmdb.MapFullError:
            self._give_up()
        except (lmdb.Error, OSError) as error:
            raise self._failed(error) from None

    def abort(self) -> None:
        """Undo what was written."""
        self._pieces.close()
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    def again(self) -> LmdbCommit:
        """The same commit from its beginning, when the map has more room."""
        return LmdbCommit(self._environment, self._tables, self._errors, self.removed, self.batch)

    def _put(self) -> Generator[int]:
        transaction = self._transaction = self._environment.begin(write=True)
        yield from put_batch(transaction, self._tables, self._errors, self.removed, self.batch)

    def _give_up(self) -> None:
        self.abort()
        self.is_full = True

    def _failed(self, error: Exception) -> StorageError:
        self.abort()
        return self._errors.unwritable(error)
