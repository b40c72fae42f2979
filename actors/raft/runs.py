"""Runs of log entries as bytes: one msgpack array, checked both ways.

A run is packed once, and the bytes serve every peer and the write-ahead log. Refuses to know what
else is in a frame or in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actors.language.bounds import NUMBER_MAX
from actors.language.entries import Entry, entries_of
from cluster.wire import WireError, pack, unpack

ENCODINGS_KEPT: Final = 8

_NO_ENTRIES: Final = pack(())


class EntriesEncoder:
    """Packs runs of entries, and keeps a few: a leader sends each run to every peer.

    Runs with the same first and last entry are the same, by log matching (Raft 5.3).
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, int, int], bytes] = {}

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """One msgpack array of entries; WireError if `decode_entries` would refuse them."""
        if not entries:
            return _NO_ENTRIES
        first, last = entries[0], entries[-1]
        key = (first.index, first.term, last.index, last.term)
        if key in self._kept:
            return self._kept[key]
        # Refused now: an entry in the log that nobody could read back would end the next start.
        _check_entries(entries)
        packed = packed_row(entries)
        if len(self._kept) >= ENCODINGS_KEPT:
            self._kept.clear()
        self._kept[key] = packed
        return packed


def decode_entries(packed: bytes | memoryview) -> tuple[Entry, ...]:
    """The entries of one packed run; WireError if they are not entries in consecutive order."""
    rows = unpack(packed)
    if type(rows) is not tuple:
        raise WireError("not log entries")
    _check_entries(rows)
    return entries_of(rows)


def _check_entries(rows: Sequence[Any]) -> None:
    """Raise WireError for a field that the annotations of Entry do not allow, and for a gap.

    Every put passes here; a `Shape` would take twice as long.
    """
    if not rows:
        return
    try:
        number = rows[0][0]
        for row in rows:
            index, term, time_ms, origin, ticket, command = row
            if (
                type(index) is not int
                or type(term) is not int
                or type(time_ms) is not int
                or type(origin) is not int
                or type(ticket) is not int
                or type(command) is not bytes
            ):
                raise WireError("an entry has a field of the wrong type")
            if index != number:
                raise WireError("entries are not consecutive")
            number += 1
            if not (0 <= term <= NUMBER_MAX and 0 <= time_ms <= NUMBER_MAX):
                raise WireError("an entry has a field out of range")
            if origin < 0 or ticket < 0:
                raise WireError("an entry has a field out of range")
    except (TypeError, ValueError, LookupError) as error:
        raise (
            error if isinstance(error, WireError) else WireError(f"not entries: {error}")
        ) from None
    if not 0 < number - len(rows) < number <= NUMBER_MAX + 1:
        raise WireError("an entry has an index out of range")


def packed_row(row: Any) -> bytes:
    """One msgpack value; WireError for a number of more than 64 bits."""
    try:
        return pack(row)
    except OverflowError as error:
        raise WireError(f"a number of more than 64 bits: {error}") from None
