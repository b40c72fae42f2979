"""Planted bugs in leases, sessions and the client's core."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from math import inf
from typing import Any
from unittest.mock import patch

from actors.gateway.throttle import Throttle
from actors.language.commands import Sequence as Numbered
from actors.language.results import Result
from actors.lease.book import LeaseBook
from actors.raft.replica import Replica
from actors.store.leases import LeaseTable
from actors.store.sessions import SessionTable
from cluster.client.engine import calling
from cluster.client.engine.call import Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.leasing import Keeper
from cluster.client.replies import Reply
from tests.simulation.mutants.planting import both, mutant


@mutant
def leases_end_early() -> AbstractContextManager[Any]:
    """The leader proposes what is not due yet, and the store believes it."""
    expire = LeaseBook.expire

    def careless(book: LeaseBook, cluster_ms: int, expiries_max: int) -> Any:
        return expire(book, cluster_ms + 200, expiries_max)

    return both(patch.object(LeaseBook, "expire", careless), expiries_are_not_checked_again())


@mutant
def expiries_are_not_checked_again() -> AbstractContextManager[Any]:
    """An expiry ends a lease that was renewed meanwhile (etcd 15247)."""

    def is_due(leases: LeaseTable, lease_id: int, deadline_ms: int, now_ms: int) -> bool:
        return lease_id in leases.table

    return patch.object(LeaseTable, "is_due", is_due)


@mutant
def cluster_time_starts_anew_with_each_leader() -> AbstractContextManager[Any]:
    """Deadlines that another leader set mean nothing to this one."""
    start_clock = Replica.start_clock
    return patch.object(Replica, "start_clock", lambda replica: start_clock(replica) + 1_000)


@mutant
def retries_are_applied_again() -> AbstractContextManager[Any]:
    """The session table forgets."""
    admit = SessionTable.admit

    def careless(
        sessions: SessionTable, index: int, now_ms: int, sequence: Numbered
    ) -> Result | None:
        admit(sessions, index, now_ms, sequence)
        return None

    return patch.object(SessionTable, "admit", careless)


@mutant
def session_results_are_not_kept_on_disk() -> AbstractContextManager[Any]:
    """A restart forgets what was answered."""
    take = SessionTable.take_changes

    def careless(sessions: SessionTable) -> Any:
        return tuple(change._replace(kept=(), forgotten=()) for change in take(sessions))

    return patch.object(SessionTable, "take_changes", careless)


@mutant
def each_attempt_is_a_new_command() -> AbstractContextManager[Any]:
    """The client gives a retry another number."""
    frame = Call.frame

    def careless(call: Call) -> bytes:
        if call.session is not None and call.attempts:
            call.session.end(call.seq)
            call.seq = call.session.begin(call.sent_at)
        return frame(call)

    return patch.object(Call, "frame", careless)


@mutant
def a_refused_retry_had_no_effect() -> AbstractContextManager[Any]:
    """The client takes a refusal of its last attempt for the fate of all of them."""
    return patch.object(calling, "NO_VERDICT", frozenset())


@mutant
def a_write_that_timed_out_is_let_in_later() -> AbstractContextManager[Any]:
    """Its client was told that it had no effect: it waited before the log, and goes on waiting."""

    ask, done, let_in = Throttle.ask, Throttle.done, Throttle.let_in
    asked: dict[int, Any] = {}
    given_up: dict[Throttle, list[Any]] = {}

    def asking(throttle: Throttle, proposals: Iterable[Any]) -> list[Any]:
        named = list(proposals)
        asked.update({proposal.ticket: proposal for _, proposal in named})
        return ask(throttle, named)

    def doing(throttle: Throttle, ticket: int) -> bool:
        was_waiting = done(throttle, ticket)
        if was_waiting:
            given_up.setdefault(throttle, []).append(asked[ticket])
        return was_waiting

    def letting_in(throttle: Throttle) -> list[Any]:
        return [*let_in(throttle), *given_up.pop(throttle, ())]

    return both(
        patch.object(Throttle, "ask", asking),
        patch.object(Throttle, "done", doing),
        patch.object(Throttle, "let_in", letting_in),
    )


@mutant
def an_uncertain_attempt_is_forgotten() -> AbstractContextManager[Any]:
    """The client judges a call by its last attempt alone."""
    frame = Call.frame

    def careless(call: Call) -> bytes:
        call.uncertain = False
        return frame(call)

    return patch.object(Call, "frame", careless)


@mutant
def a_renewal_that_needed_a_second_attempt_is_the_last() -> AbstractContextManager[Any]:
    """The client forgets to renew again, and says of the lease neither this nor that."""
    renewed = Keeper.renewed

    def careless(keeper: Keeper, ttl: float, sent_at: float) -> None:
        call = keeper.call
        renewed(keeper, ttl, sent_at)
        if call is not None and call.attempts > 1:
            keeper.due = inf

    return patch.object(Keeper, "renewed", careless)


@mutant
def renewals_count_from_their_answers() -> AbstractContextManager[Any]:
    """The client relies on a lease for as long as the answer was under way after its end."""
    reply, renewed = Calls.reply, Keeper.renewed
    answered_at = 0.0

    def noting(calls: Calls, endpoint: str, message: Reply, now: float) -> None:
        nonlocal answered_at
        answered_at = now
        reply(calls, endpoint, message, now)

    def careless(keeper: Keeper, ttl: float, sent_at: float) -> None:
        renewed(keeper, ttl, answered_at)

    return both(patch.object(Calls, "reply", noting), patch.object(Keeper, "renewed", careless))
