"""How the store's file can fail, in words: which file, where, and what an operator can do about it.

Every failure of LMDB, of the system or of the bytes becomes a StorageError here. Knows neither
tables nor records.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from actors.language.errors import StorageError, described
from actors.store.pages import PageError, PageFile

UNREADABLE: Final = (ValueError, IndexError, struct.error)
"""What decoding raises for the record of a revision that is damaged."""


class FileErrors:
    """The errors of one file; a damaged copy that is not in use yet harms nothing else."""

    def __init__(self, path: Path, *, is_copy: bool) -> None:
        self.path = path
        self._is_copy = is_copy

    @contextmanager
    def named(self) -> Iterator[None]:
        """Give errors of LMDB, of the system and of pages the file's name."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise StorageError(described(error, self.path)) from None
        except PageError as error:
            raise self.damaged(f" at byte {error.offset}: {error}") from None

    @contextmanager
    def located(self, pages: PageFile) -> Iterator[None]:
        """Give records that cannot be decoded the place of their page in the file."""
        try:
            yield
        except PageError:
            raise
        except struct.error:
            raise self.damaged(f" at byte {pages.offset}: a record of a wrong length") from None
        except (ValueError, TypeError, LookupError) as error:
            raise self.damaged(f" at byte {pages.offset}: {error}") from None

    def damaged(self, what: str) -> StorageError:
        """The file is not as it was written: an error with advice for the operator."""
        advice = (
            "The store cannot be trusted; keep the directory for inspection, remove this member "
            "from the cluster, and let it rejoin as a new member with an empty data directory"
        )
        if self._is_copy:
            advice = "This copy is of no use, the store is as it was"
        return StorageError(f"{self.path}: damaged{what}. {advice}")

    def unwritable(self, error: Exception) -> StorageError:
        """The file cannot be written: an error with advice for the operator."""
        return StorageError(
            f"{self.path}: cannot be written: {error}. If the disk is full, make room and "
            "start again: nothing is lost, the log has what is missing here"
        )
