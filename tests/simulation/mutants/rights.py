"""Planted bugs in who may do what: they show only where rights change meanwhile (`rights`)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from actors.language.auth import NODE
from actors.language.commands import DeleteRange, Put, Txn
from actors.language.intervals import KeyInterval, KeySet
from actors.language.messages import WatchOpen
from actors.store.auth.check import may_at_once
from actors.store.auth.needs import needs_of
from actors.store.auth.ready import Ready
from actors.store.auth.table import AuthTable, Rights
from actors.store.listeners import Listeners
from actors.store.machine import Machine
from actors.store.questions import begin
from actors.store.sessions import SessionTable
from actors.watch.hub import Hub
from tests.simulation.mutants.planting import mutant_of_rights


@mutant_of_rights
def older_rights_decide() -> AbstractContextManager[Any]:
    """What a user may do is looked up once, and never again."""
    known: WeakKeyDictionary[AuthTable, dict[int, Rights | None]] = WeakKeyDictionary()
    rights_of = AuthTable.rights_of

    def careless(table: AuthTable, user_id: int) -> Rights | None:
        found = known.setdefault(table, {})
        if user_id not in found:
            found[user_id] = rights_of(table, user_id)
        return found[user_id]

    return patch.object(AuthTable, "rights_of", careless)


@mutant_of_rights
def ready_answers_outlive_a_change() -> AbstractContextManager[Any]:
    """What somebody may read and write is answered as before the last change of rights."""
    return patch.object(Ready, "forget", lambda _: None)


@mutant_of_rights
def ready_answers_give_previous_values() -> AbstractContextManager[Any]:
    """Whoever may write a key at once is given what was there before."""
    ask = may_at_once

    def careless(table: AuthTable, principal: Any, asked: Any) -> bool:
        asked = asked._replace(prev_kv=False) if isinstance(asked, Put) else asked
        return ask(table, principal, asked)

    return patch("actors.store.machine.may_at_once", careless)


@mutant_of_rights
def only_one_branch_is_checked() -> AbstractContextManager[Any]:
    """A transaction needs no right for what it does if its compares fail."""

    def careless(asked: Any) -> Any:
        return needs_of(asked._replace(failure=()) if isinstance(asked, Txn) else asked)

    return patch("actors.store.auth.check.needs_of", careless)


@mutant_of_rights
def previous_values_are_for_writers() -> AbstractContextManager[Any]:
    """Whoever may write a key is given what was there before."""

    def careless(asked: Any) -> Any:
        return needs_of(
            asked._replace(prev_kv=False) if isinstance(asked, Put | DeleteRange) else asked
        )

    return patch("actors.store.auth.check.needs_of", careless)


@mutant_of_rights
def watches_outlive_their_rights() -> AbstractContextManager[Any]:
    """A watch is checked when it begins, and never again."""
    return patch.object(Hub, "revoke", lambda *_: ())


@mutant_of_rights
def watches_are_not_checked() -> AbstractContextManager[Any]:
    """Anybody watches anything, until rights change for the next time."""
    fault_of = Machine.fault_of

    def careless(machine: Machine, principal: Any, asked: Any) -> Any:
        return "" if isinstance(asked, WatchOpen) else fault_of(machine, principal, asked)

    return patch.object(Machine, "fault_of", careless)


@mutant_of_rights
def watchers_are_forgotten() -> AbstractContextManager[Any]:
    """Watch hears nothing of changed rights."""
    return patch.object(Listeners, "rights", lambda *_: ())


@mutant_of_rights
def reads_are_not_checked() -> AbstractContextManager[Any]:
    """Only what goes through the log is."""

    def careless(machine: Machine, query: Any, cluster_ms: int, _: Any) -> Any:
        return begin(machine, query, cluster_ms, NODE)

    return patch("actors.store.long_queries.begin", careless)


@mutant_of_rights
def a_session_serves_anybody() -> AbstractContextManager[Any]:
    """Whoever knows the id of a session is answered in it."""
    return patch.object(SessionTable, "refusal", lambda *_: None)


@mutant_of_rights
def tokens_outlive_their_password() -> AbstractContextManager[Any]:
    """A token is good as long as its user is there."""
    rights_of = AuthTable.rights_of

    def careless(table: AuthTable, user_id: int) -> Rights | None:
        found = rights_of(table, user_id)
        return None if found is None else found._replace(valid_from=0)

    return patch.object(AuthTable, "rights_of", careless)


@mutant_of_rights
def an_open_end_is_an_end() -> AbstractContextManager[Any]:
    """A right up to some key covers what has no end."""
    covers = KeySet.covers

    def careless(keys: KeySet, interval: KeyInterval) -> bool:
        start, end = interval
        return covers(keys, KeyInterval(start, start + b"\0" if end is None else end))

    return patch.object(KeySet, "covers", careless)


@mutant_of_rights
def changes_of_rights_come_a_command_late() -> AbstractContextManager[Any]:
    """A change is carried out when the next one comes."""
    do = AuthTable.do
    late: WeakKeyDictionary[AuthTable, tuple[Any, int]] = WeakKeyDictionary()

    def careless(table: AuthTable, command: Any, index: int) -> Any:
        before = late.get(table)
        late[table] = command, index
        return do(table, *before) if before is not None else ""

    return patch.object(AuthTable, "do", careless)


@mutant_of_rights
def changes_are_told_a_change_late() -> AbstractContextManager[Any]:
    """Watches hear of lost rights when other rights change."""
    news = AuthTable.news
    late: WeakKeyDictionary[AuthTable, Any] = WeakKeyDictionary()

    def careless(table: AuthTable) -> Any:
        before, late[table] = late.get(table), news(table)
        return before

    return patch.object(AuthTable, "news", careless)
