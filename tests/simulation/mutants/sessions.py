"""Planted bugs in whose session is whose, and for how long: most show only when clusters end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from actors.gateway.openings import Openings
from actors.language.commands import SessionOpen
from actors.offline.restore import changes_of
from actors.store.sessions import Session
from actors.store.storage import Batch
from cluster.client.engine.call import Call, WriteSession
from cluster.client.engine.sessions import WriteSessions
from tests.simulation.mutants.planting import mutant, mutant_of_lives


@mutant_of_lives
def session_ids_come_again() -> AbstractContextManager[Any]:
    """A gateway counts its sessions from 1, as another cluster's does, too."""
    counts: WeakKeyDictionary[Openings, int] = WeakKeyDictionary()

    def count(openings: Openings) -> SessionOpen:
        counts[openings] = counts.get(openings, 0) + 1
        return SessionOpen(counts[openings])

    return patch.object(Openings, "command", count)


@mutant_of_lives
def a_restored_cluster_keeps_its_sessions() -> AbstractContextManager[Any]:
    """The answers of the old cluster are given for the new one's."""

    def careless(*arguments: Any) -> Batch:
        return changes_of(*arguments)._replace(sessions=())

    return patch("tests.simulation.lives.changes_of", careless)


@mutant_of_lives
def a_client_stays_in_a_dead_session() -> AbstractContextManager[Any]:
    """It tries again where nobody knows it, as long as it is asked to."""

    def careless(sessions: WriteSessions, call: Call, session: WriteSession) -> None:
        session.end(call.seq)
        call.session = None

    return patch.object(WriteSessions, "leave", careless)


@mutant_of_lives
def a_lost_session_says_that_nothing_was_done() -> AbstractContextManager[Any]:
    """The client forgets that an earlier attempt was not answered, and sends it all again."""
    leave = WriteSessions.leave

    def careless(sessions: WriteSessions, call: Call, session: WriteSession) -> None:
        call.uncertain = False
        leave(sessions, call, session)

    return patch.object(WriteSessions, "leave", careless)


@mutant
def results_weigh_nothing_after_a_restart() -> AbstractContextManager[Any]:
    """A member that has restarted lets in what others refuse."""
    make = Session.__init__

    def careless(session: Session, *arguments: Any) -> None:
        make(session, *arguments)
        session.results_bytes = 0

    return patch.object(Session, "__init__", careless)
