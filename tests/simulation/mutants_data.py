"""Planted bugs in the data model: transactions, long reads, history, alarms and slow watchers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from actors.gateway.requests import Inquiry, RequestDecoder
from actors.store import digest
from actors.store.commands import Event, Put, Txn
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.ranges import Cursor
from actors.store.results import Failure, TxnDone
from actors.store.steps import finish
from actors.store.txn import decide
from actors.store.writes import Writes
from actors.watch import frames
from actors.watch.audience import Connection
from actors.watch.hub import Hub
from tests.simulation.mutants import Mutant

# --- transactions -----------------------------------------------------------------------------


def a_refused_transaction_does_what_comes_first() -> AbstractContextManager[Any]:
    """What can be done is done until something cannot."""
    transact = Writes.transact

    def careless(self: Writes, txn: Txn, now_ms: int) -> TxnDone | Failure:
        done = transact(self, txn, now_ms)
        if isinstance(done, Failure):
            branch = finish(decide(self._store, txn, self._store.revision))
            for sub, each in enumerate(branch.operations):
                if not isinstance(each, Put) or isinstance(self.put(each, now_ms, sub), Failure):
                    break
        return done

    return patch.object(Writes, "transact", careless)


def transactions_that_read_ask_nobody() -> AbstractContextManager[Any]:
    """A transaction of ranges is answered by whoever is asked, as if it were serializable."""
    decode = RequestDecoder.decode

    def careless(decoder: RequestDecoder, connection: Connection, payload: bytes) -> Any:
        request = decode(decoder, connection, payload)
        if isinstance(request, Inquiry) and isinstance(request.query, Txn):
            return request._replace(serializable=True)
        return request

    return patch.object(RequestDecoder, "decode", careless)


def a_granting_put_forgets_what_it_granted() -> AbstractContextManager[Any]:
    """A put with a TTL grants a lease, and leaves the key without one when a key was there."""
    put = Writes.put

    def careless(self: Writes, command: Put, now_ms: int, sub: int = 0) -> Any:
        if command.ttl_ms and command.key in self._store.index.live:
            self._leases.grant(command.lease, command.ttl_ms, now_ms)
            done: Any = put(self, command._replace(lease=0, ttl_ms=0), now_ms, sub)
            return done._replace(lease=command.lease, ttl_ms=command.ttl_ms)
        return put(self, command, now_ms, sub)

    return patch.object(Writes, "put", careless)


# --- reads and history ------------------------------------------------------------------------


def long_reads_see_what_comes_between() -> AbstractContextManager[Any]:
    """Each step of a range reads what there is by then."""
    read = Cursor.read

    def careless(cursor: Cursor, *arguments: Any, **more: Any) -> Any:
        if cursor._low:  # some way from its beginning, perhaps
            cursor._revision = max(cursor._revision, cursor._store.revision)
        return read(cursor, *arguments, **more)

    return patch.object(Cursor, "read", careless)


def a_compaction_takes_one_revision_more() -> AbstractContextManager[Any]:
    """The revision that is compacted to can be read no more."""
    compact = RevisionStore.compact

    def careless(store: RevisionStore, revision: int) -> Failure | None:
        return compact(store, min(revision + 1, store.revision))

    return patch.object(RevisionStore, "compact", careless)


def hashes_count_what_was_compacted() -> AbstractContextManager[Any]:
    """Nodes that have swept more, or less, hash something else."""
    return patch.object(digest, "_is_visible", lambda *arguments: True)


def alarms_are_left_out_of_snapshots() -> AbstractContextManager[Any]:
    """A node that was away does not know that there is no space."""
    reopened = Machine.reopened

    def careless(machine: Machine, backend: Any) -> Machine:
        opened = reopened(machine, backend)
        opened.alarms._alarms.clear()
        opened.alarms._touch()
        return opened

    return patch.object(Machine, "reopened", careless)


# --- watches ----------------------------------------------------------------------------------


def bookmarks_come_too_early() -> AbstractContextManager[Any]:
    """Who asks how far it is, is told how far the node is (etcd 15220)."""
    return patch.object(Hub, "delivered", lambda hub, connection: hub.revision)


def a_congested_watch_goes_on_with_the_present() -> AbstractContextManager[Any]:
    """What happened while a connection was congested is told to nobody there."""
    release = Hub.release

    def careless(hub: Hub, connection: Connection) -> None:
        if connection in hub._watchers:
            for seat in hub._watchers[connection].seats.values():
                seat.next_revision = hub.revision + 1
        release(hub, connection)

    return patch.object(Hub, "release", careless)


def fragments_are_not_marked() -> AbstractContextManager[Any]:
    """Each part of a reply that is too large looks like a whole one."""
    return patch.multiple(frames, _PART=frames._WHOLE, _FRAGMENT=b"")


def the_value_before_is_the_last_but_one() -> AbstractContextManager[Any]:
    """A watch that reads history with prev_kv is told a value before the one that was there."""
    event = RevisionStore.event

    def careless(store: RevisionStore, position: int, with_previous: bool) -> Event:
        told = event(store, position, with_previous)
        if told.prev_kv is None or told.prev_kv.version == 1:
            return told
        at = store.index.position_at(told.kv.key, told.prev_kv.mod_revision - 1)
        return told if at is None else told._replace(prev_kv=store.read(at).kv)

    return patch.object(RevisionStore, "event", careless)


MUTANTS_DATA: Final[tuple[Mutant, ...]] = (
    a_refused_transaction_does_what_comes_first,
    transactions_that_read_ask_nobody,
    a_granting_put_forgets_what_it_granted,
    long_reads_see_what_comes_between,
    a_compaction_takes_one_revision_more,
    hashes_count_what_was_compacted,
    alarms_are_left_out_of_snapshots,
    bookmarks_come_too_early,
    a_congested_watch_goes_on_with_the_present,
    fragments_are_not_marked,
    the_value_before_is_the_last_but_one,
)
