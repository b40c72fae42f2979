"""What every part of a node that keeps data on disk raises when that data cannot be used."""

from __future__ import annotations


class StorageError(Exception):
    """The data on disk cannot be used; the message names the file, the place, and what to do."""
