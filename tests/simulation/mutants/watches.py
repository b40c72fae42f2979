"""Planted bugs in what watches are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.commands import Event
from actors.language.messages import Connection
from actors.store.backlog import portion
from actors.store.mvcc import RevisionStore
from actors.watch import frames
from actors.watch.audience import View
from actors.watch.frames import EventBatch, Reply
from actors.watch.hub import Hub
from actors.watch.long_batch import Frames
from actors.watch.teller import Teller
from cluster.client.engine.watching import WatchState
from tests.simulation.mutants.planting import mutant


def _portions_from(shifted: Callable[[RevisionStore, int], int]) -> AbstractContextManager[Any]:
    """What a watch that is behind reads begins at another revision than it should."""

    def careless(store: RevisionStore, start: int, *more: Any) -> Any:
        return portion(store, shifted(store, start), *more)

    return patch("actors.store.backlog.portion", careless)


@mutant
def watches_resume_one_too_late() -> AbstractContextManager[Any]:
    """The first event after a watch moves to another node is left out."""
    return _portions_from(lambda store, start: start + 1 if start > 1 else start)


@mutant
def watches_resume_one_too_early() -> AbstractContextManager[Any]:
    """A watch is told again what it has seen last."""
    return _portions_from(lambda store, start: max(1, start - 1, store.compact_revision))


@mutant
def revisions_are_split() -> AbstractContextManager[Any]:
    """What one revision did reaches watchers in two messages."""
    replies = EventBatch.replies

    def careless(batch: EventBatch, positions: Sequence[int], view: View) -> list[Reply]:
        middle = len(positions) // 2
        parts = [part for part in (positions[:middle], positions[middle:]) if part]
        return [reply for part in parts for reply in replies(batch, part, view)]

    return patch.object(EventBatch, "replies", careless)


@mutant
def bookmarks_come_too_early() -> AbstractContextManager[Any]:
    """Who asks how far it is, is told how far the node is (etcd 15220)."""
    return patch.object(Hub, "delivered", lambda hub, connection: hub.revision)


@mutant
def a_congested_watch_goes_on_with_the_present() -> AbstractContextManager[Any]:
    """What happened while a connection was congested is told to nobody there."""
    release = Hub.release

    def careless(hub: Hub, connection: Connection) -> None:
        watches = hub.end(connection)
        release(hub, connection)
        for _, watch_id, span, view, _ in watches:
            hub.open(connection, watch_id, span, view, start_revision=0)

    return patch.object(Hub, "release", careless)


@mutant
def watches_that_were_left_out_go_on_with_the_present() -> AbstractContextManager[Any]:
    """Events that were too much for all watches at once never reach some of them."""
    return patch.object(Hub, "put_behind", lambda hub, watches, revision: None)


@mutant
def what_is_read_reaches_only_the_first_watches() -> AbstractContextManager[Any]:
    """A watch whose turn comes after the first step counts as told."""
    history = Teller.history

    def careless(teller: Teller, *what: Any) -> Iterator[Frames]:
        steps = history(teller, *what)
        for made in steps:
            yield made
            if made:
                break
        for _ in steps:
            pass

    return patch.object(Teller, "history", careless)


@mutant
def fragments_are_not_marked() -> AbstractContextManager[Any]:
    """Each part of a reply that is too large looks like a whole one."""
    return patch.multiple(frames, PART=frames.WHOLE, FRAGMENT=b"")


@mutant
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


@mutant
def fragments_survive_a_watchs_move() -> AbstractContextManager[Any]:
    """The client keeps the first parts of a revision, and the next node tells all of it again."""
    forget_id = WatchState.forget_id

    def careless(watch: WatchState) -> None:
        kept = watch.fragments
        forget_id(watch)
        watch.fragments = kept

    return patch.object(WatchState, "forget_id", careless)
