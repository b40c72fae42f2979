"""Planted bugs in the data model: transactions, long reads, history and alarms."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.gateway.decoded import QueryRequest
from actors.gateway.requests import RequestDecoder
from actors.language.commands import AlarmDeactivate, AlarmType, KeyValue, Put, Txn
from actors.language.messages import Connection
from actors.language.results import Failure, PutDone
from actors.store import digest
from actors.store.leases import LeaseTable
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.ranges import Cursor
from actors.store.steps import Steps
from actors.store.txn import KEY_NOT_FOUND, Branch, fault_of
from actors.store.writes import Writes
from tests.simulation.mutants.planting import mutant


@mutant
def a_refused_transaction_does_what_comes_first() -> AbstractContextManager[Any]:
    """What can be done is done until something cannot: puts at least, but those with a TTL."""

    def careless(store: RevisionStore, leases: LeaseTable, branch: Branch) -> Failure | None:
        fault = fault_of(store, leases, branch)
        if fault is not None:
            writes = Writes(store, leases)
            for sub, each in enumerate(branch.operations):
                if not isinstance(each, Put) or each.ttl_ms:
                    break
                if isinstance(writes.put(each, 0, sub), Failure):
                    break
        return fault

    return patch("actors.store.writes.fault_of", careless)


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
    """A put with a TTL grants a lease, and leaves a key that was there on the one it had."""
    put = Writes.put

    def careless(writes: Writes, command: Put, now_ms: int, sub: int = 0) -> PutDone | Failure:
        if command.ttl_ms:
            done = put(writes, command._replace(ignore_lease=True), now_ms, sub)
            if done != KEY_NOT_FOUND:
                return done
        return put(writes, command, now_ms, sub)

    return patch.object(Writes, "put", careless)


@mutant
def long_reads_see_what_comes_between() -> AbstractContextManager[Any]:
    """Each step of a range reads what there is by then."""
    return patch("actors.store.ranges.Cursor", _CursorOfTheMoment)


class _CursorOfTheMoment(Cursor):
    """Goes on reading at the revision that the store has reached by then."""

    def __init__(self, store: RevisionStore, *arguments: Any, **named: Any) -> None:
        super().__init__(store, *arguments, **named)
        self.store = store
        self.has_begun = False

    def read(self, found_max: int, *, with_values: bool) -> list[KeyValue]:
        if self.has_begun:
            self.revision = max(self.revision, self.store.revision)
        self.has_begun = True
        return super().read(found_max, with_values=with_values)


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
    return patch.object(digest, "is_visible", lambda *_: True)


@mutant
def alarms_are_left_out_of_snapshots() -> AbstractContextManager[Any]:
    """A node that was away does not know that there is no space."""
    reopened = Machine.reopened

    def careless(machine: Machine, backend: Any) -> Steps[Machine]:
        opened = yield from reopened(machine, backend)
        opened.alarms.deactivate(AlarmDeactivate(0, AlarmType.NONE))
        return opened

    return patch.object(Machine, "reopened", careless)
