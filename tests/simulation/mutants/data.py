"""Planted bugs in the data model: transactions, long reads, history and alarms."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.gateway.requests import QueryRequest, RequestDecoder
from actors.language.commands import Put, Txn
from actors.language.messages import Connection
from actors.language.results import Failure, TxnDone
from actors.store import digest
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.ranges import Cursor
from actors.store.steps import finish
from actors.store.txn import decide
from actors.store.writes import Writes
from tests.simulation.mutants.planting import mutant


@mutant
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


@mutant
def transactions_that_read_ask_nobody() -> AbstractContextManager[Any]:
    """A transaction of ranges is answered by whoever is asked, as if it were serializable."""
    decode = RequestDecoder.decode

    def careless(decoder: RequestDecoder, connection: Connection, payload: bytes) -> Any:
        request = decode(decoder, connection, payload)
        if isinstance(request, QueryRequest) and isinstance(request.query, Txn):
            return request._replace(serializable=True)
        return request

    return patch.object(RequestDecoder, "decode", careless)


@mutant
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


@mutant
def long_reads_see_what_comes_between() -> AbstractContextManager[Any]:
    """Each step of a range reads what there is by then."""
    read = Cursor.read

    def careless(cursor: Cursor, *arguments: Any, **more: Any) -> Any:
        if cursor._low:  # some way from its beginning, perhaps
            cursor._revision = max(cursor._revision, cursor._store.revision)
        return read(cursor, *arguments, **more)

    return patch.object(Cursor, "read", careless)


@mutant
def a_compaction_takes_one_revision_more() -> AbstractContextManager[Any]:
    """The revision that is compacted to can be read no more."""
    compact = RevisionStore.compact

    def careless(store: RevisionStore, revision: int) -> Failure | None:
        return compact(store, min(revision + 1, store.revision))

    return patch.object(RevisionStore, "compact", careless)


@mutant
def hashes_count_what_was_compacted() -> AbstractContextManager[Any]:
    """Nodes that have swept more, or less, hash something else."""
    return patch.object(digest, "_is_visible", lambda *arguments: True)


@mutant
def alarms_are_left_out_of_snapshots() -> AbstractContextManager[Any]:
    """A node that was away does not know that there is no space."""
    reopened = Machine.reopened

    def careless(machine: Machine, backend: Any) -> Machine:
        opened = reopened(machine, backend)
        opened.alarms._alarms.clear()
        opened.alarms._touch()
        return opened

    return patch.object(Machine, "reopened", careless)
