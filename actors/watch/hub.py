"""Hub: all watches of a node, what each of them has seen, and what it is told next.

A watch is in one of three states:

* live: it has seen everything, and is told each event as it happens;
* behind: it needs past events, because it began in the past, was held, or a snapshot skipped some;
  it reads history, a portion at a time, until nothing is missing;
* held: its connection is congested, and it is told nothing; the hub remembers where it stopped.

However it changes between them, a watch is told each event of its span from its start on, once and
in order. Knows nothing of bytes on the wire, of time, or of how history is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from actors.language.auth import NOBODY, Principal
from actors.language.commands import Event
from actors.language.intervals import NO_KEY, KeySet, interval_of
from actors.language.messages import Connection
from actors.language.metrics import WatchMetrics
from actors.language.results import Failure
from actors.watch.audience import Audience, Match, View, Watch
from actors.watch.laggards import Laggards
from actors.watch.spans import Span

WATCHES_PER_CONNECTION_MAX: Final = 10_000
WATCHES_PER_NODE_MAX: Final = 100_000
"""A watch above either limit is refused."""

READING_SPANS_MAX: Final = 16
"""An audience with more than 16 spans reads the history of all keys, and filters it."""

# etcd's texts, which its clients compare.
DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
EMPTY_RANGE: Final = "mvcc: watcher range is empty"
COMPACTED_TEXT: Final = "etcdserver: mvcc: required revision has been compacted"


class WatchRefused(NamedTuple):
    """A watch that cannot begin; `reason` is etcd's text."""

    reason: str


class Reading(NamedTuple):
    """The history to read next: of these spans, or of all keys if there are none."""

    from_revision: int
    spans: tuple[Span, ...]
    prev_kv: bool


class _Seat:
    """A watch and the audience it is in.

    A watch without one is held, and the first revision that it has not seen is `next_revision`.
    """

    __slots__ = ("audience", "next_revision", "watch")

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.audience: Audience | None = None
        self.next_revision = 0


class _Watcher:
    """The watches of one connection by id."""

    __slots__ = ("next_id", "seats")

    def __init__(self) -> None:
        self.seats: dict[int, _Seat] = {}
        self.next_id = 0

    def choose_id(self) -> int:
        """As in etcd: 0, 1, 2 and so on without those in use, and none a second time."""
        while self.next_id in self.seats:
            self.next_id += 1
        self.next_id += 1
        return self.next_id - 1


class Hub:
    """All watches of one node, whose store is at `revision`."""

    def __init__(
        self,
        per_connection_max: int = WATCHES_PER_CONNECTION_MAX,
        per_node_max: int = WATCHES_PER_NODE_MAX,
    ) -> None:
        self.revision = 0
        self._per_connection_max = per_connection_max
        self._per_node_max = per_node_max
        self._watchers: dict[Connection, _Watcher] = {}
        self._count = 0
        # How many watches each user has; nobody's are not counted here.
        self._per_user: Counter[int] = Counter()
        self._live = Audience()
        self._laggards = Laggards()
        # The audience whose history is being read and told. One at a time: live watches must not
        # wait for the reading of many.
        self._reader: Audience | None = None
        # How far that was read, 0 until it is; and those of the audience that were told.
        self._reached = 0
        self._told: set[tuple[Connection, int]] = set()
        self._congested: set[Connection] = set()

    def __len__(self) -> int:
        return self._count

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection that ever asked for a watch and was not forgotten."""
        return tuple(self._watchers)

    # --- watches come and go ---

    def meet(self, connection: Connection) -> None:
        """Know a connection until it is forgotten, even if it has no watches."""
        if connection not in self._watchers:
            self._watchers[connection] = _Watcher()

    def open(
        self,
        connection: Connection,
        watch_id: int,
        span: Span,
        view: View,
        start_revision: int,
        principal: Principal = NOBODY,
        user_max: int = 0,
    ) -> Watch | WatchRefused | Failure:
        """Begin a watch; id 0 leaves the choice to the hub, start 0 begins after the present.

        Its user may have `user_max` watches; 0: any number.
        """
        self.meet(connection)
        watcher = self._watchers[connection]
        if start_revision < 0:
            return WatchRefused(COMPACTED_TEXT)
        if span.is_empty:
            return WatchRefused(EMPTY_RANGE)
        if watch_id and watch_id in watcher.seats:
            return WatchRefused(DUPLICATE_ID)
        if len(watcher.seats) >= self._per_connection_max or self._count >= self._per_node_max:
            return Failure("TooManyRequests")
        if user_max and self._per_user[principal.user_id] >= user_max:
            return Failure("TooManyRequests")
        # A watch from a future revision is live at once; its view lets nothing earlier through.
        if start_revision > self.revision + 1:
            view = view._replace(from_revision=start_revision)
        seat = _Seat(Watch(connection, watch_id or watcher.choose_id(), span, view, principal))
        watcher.seats[seat.watch.watch_id] = seat
        self._count += 1
        if principal.user_id > 0:
            self._per_user[principal.user_id] += 1
        self._place(seat, start_revision or self.revision + 1)
        return seat.watch

    def cancel(self, connection: Connection, watch_id: int) -> bool:
        """End a watch; returns whether there was one."""
        watcher = self._watchers.get(connection)
        if watcher is None or watch_id not in watcher.seats:
            return False
        self._end(watcher.seats.pop(watch_id))
        return True

    def _end(self, seat: _Seat) -> None:
        self._displace(seat)
        self._count -= 1
        user_id = seat.watch.principal.user_id
        if user_id > 0:
            self._per_user[user_id] -= 1
            if not self._per_user[user_id]:
                del self._per_user[user_id]

    def end(self, connection: Connection, but_without_leader: bool = False) -> tuple[Watch, ...]:
        """End the watches of a connection, perhaps but those that need no leader; returns them."""
        watcher = self._watchers.get(connection)
        if watcher is None:
            return ()
        watches = tuple(
            seat.watch
            for seat in watcher.seats.values()
            if not (but_without_leader and seat.watch.view.without_leader)
        )
        for watch in watches:
            self._end(watcher.seats.pop(watch.watch_id))
        return watches

    def revoke(self, readable: Mapping[Principal, KeySet]) -> tuple[Watch, ...]:
        """End the watches of keys that their principals may not read any more; returns them."""
        revoked = tuple(
            seat.watch
            for seat in self._seats()
            if not readable.get(seat.watch.principal, NO_KEY).covers(
                interval_of(seat.watch.span.key, seat.watch.span.range_end)
            )
        )
        for watch in revoked:
            self.cancel(watch.connection, watch.watch_id)
        return revoked

    def forget(self, connection: Connection) -> tuple[Watch, ...]:
        """End all watches of a connection that is gone; returns them."""
        watches = self.end(connection)
        self._watchers.pop(connection, None)
        self._congested.discard(connection)
        return watches

    # --- what happens ---

    def publish(self, revision: int, events: Sequence[Event]) -> list[Match]:
        """The store has reached a revision by these events; returns the live watches that match."""
        self.revision = revision
        return self._live.match(events)

    def publish_in_portions(self, revision: int, events: Sequence[Event]) -> Iterator[list[Match]]:
        """The same for very many events, in steps; until the last, nothing else may be asked."""
        yield from self._live.match_in_portions(events)
        self.revision = revision

    def skip(self, revision: int) -> None:
        """A snapshot brought the store to a revision without events: live watches must read them.

        What each watch needs is asked before the revision moves, since a live one needs what comes
        after it.
        """
        live = [seat for seat in self._seats() if seat.audience is self._live]
        needed = [self._needs(seat) for seat in live]
        self.revision = revision
        for seat, next_revision in zip(live, needed, strict=True):
            self._displace(seat)
            self._place(seat, next_revision)

    def hold(self, connection: Connection) -> None:
        """A connection is congested: tell it nothing more, and remember where it stopped."""
        self._congested.add(connection)
        self._place_anew(connection)

    def release(self, connection: Connection) -> None:
        """A connection is no longer congested: its watches go on where they stopped."""
        self._congested.discard(connection)
        self._place_anew(connection)

    # --- what has happened ---

    def next_reading(self) -> Reading | None:
        """The history to read next, answered by `read` or `lost`; None while one is being read."""
        if self._reader is not None:
            return None
        self._reader = reader = self._laggards.take()
        if reader is None:
            return None
        spans = reader.spans
        if len(spans) > READING_SPANS_MAX:
            spans = ()
        return Reading(reader.revision, spans, any(view.prev_kv for view, _ in reader.views))

    def read(self, reached: int, revision: int, events: Sequence[Event]) -> Iterator[list[Match]]:
        """The events of the last reading, up to `reached`; gives the watches that match, in steps.

        The store is at `revision`, and everything up to there was published to live watches. Each
        of these watches is told when `may_tell` says so; `end_reading` follows when all were.
        """
        assert self._reader is not None, "no history comes that `next_reading` did not ask for"
        self.revision = revision
        self._reached = reached
        return self._reader.match_in_portions(events)

    @property
    def is_telling(self) -> bool:
        """Whether what was last read is still being told."""
        return self._reached > 0

    def may_tell(self, watch: Watch) -> bool:
        """Whether a watch is to be told what was read for it; then it has seen that.

        Not if it has ended or was held meanwhile: a held one reads the same again later.
        """
        watcher = self._watchers.get(watch.connection)
        seat = None if watcher is None else watcher.seats.get(watch.watch_id)
        if seat is None or seat.watch is not watch or seat.audience is not self._reader:
            return False
        self._told.add((watch.connection, watch.watch_id))
        return True

    def end_reading(self) -> None:
        """All watches that match the last reading were told."""
        reader, self._reader = self._reader, None
        assert reader is not None, "a reading ends once"
        reader.revision, self._reached = self._reached + 1, 0
        self._told.clear()
        # Not at the present yet: the audience as a whole waits for its next turn, if it can.
        if reader and reader.revision <= self.revision and self._laggards.put_back(reader):
            return
        for watch in reader:
            self._place(self._seat(watch), reader.revision)

    def put_behind(self, watches: Sequence[Watch], revision: int) -> None:
        """These live watches were not told what has happened from a revision on: they read it."""
        for watch in watches:
            seat = self._seat(watch)
            self._displace(seat)
            self._place(seat, revision)

    def lost(self, revision: int) -> tuple[Watch, ...]:
        """The history to read was compacted away: end the watches that need it, return them."""
        assert self._reader is not None, "no history comes that `next_reading` did not ask for"
        self.revision = revision
        watches = tuple(self._reader)
        for watch in watches:
            self.cancel(watch.connection, watch.watch_id)
        # Only now: `cancel` takes each watch out of the audience that reads.
        self._reader = None
        return watches

    # --- how far it is ---

    def delivered(self, connection: Connection) -> int:
        """The revision up to which all watches of a connection were told everything."""
        watcher = self._watchers.get(connection)
        if watcher is None:
            return self.revision
        live = self._live
        behind = [self._needs(seat) for seat in watcher.seats.values() if seat.audience is not live]
        return min([self.revision, *[next_revision - 1 for next_revision in behind]])

    def followers(self) -> Iterator[tuple[Watch, ...]]:
        """The live watches that want progress notifications, and whose start is not ahead."""
        for view, watches in self._live.views:
            if view.progress and view.from_revision <= self.revision + 1:
                yield watches

    def metrics(self, events: int) -> WatchMetrics:
        """How many watches there are, and how many of them lag; `events` were told."""
        live = len(list(self._live))
        streams = [watcher for watcher in self._watchers.values() if watcher.seats]
        return WatchMetrics(self._count, len(streams), self._count - live, events)

    # --- where a watch is ---

    def _place(self, seat: _Seat, next_revision: int) -> None:
        """Make a watch that has seen everything before a revision held, live or behind."""
        if seat.watch.connection in self._congested:
            seat.audience = None
            seat.next_revision = next_revision
        elif next_revision > self.revision:
            seat.audience = self._live
            self._live.add(seat.watch)
        else:
            seat.audience = self._laggards.add(seat.watch, next_revision)

    def _displace(self, seat: _Seat) -> None:
        audience = seat.audience
        if audience is None:
            return
        if audience is self._reader:
            self._told.discard((seat.watch.connection, seat.watch.watch_id))
        if audience is self._live or audience is self._reader:
            audience.remove(seat.watch)
        else:
            self._laggards.remove(seat.watch, audience)

    def _needs(self, seat: _Seat) -> int:
        """The first revision that a watch has not seen."""
        if seat.audience is self._live:
            return max(self.revision + 1, seat.watch.view.from_revision)
        if seat.audience is None:
            return seat.next_revision
        told = seat.audience is self._reader and (
            (seat.watch.connection, seat.watch.watch_id) in self._told
        )
        return self._reached + 1 if told else seat.audience.revision

    def _place_anew(self, connection: Connection) -> None:
        watcher = self._watchers.get(connection)
        if watcher is not None:
            for seat in watcher.seats.values():
                next_revision = self._needs(seat)
                self._displace(seat)
                self._place(seat, next_revision)

    def _seat(self, watch: Watch) -> _Seat:
        return self._watchers[watch.connection].seats[watch.watch_id]

    def _seats(self) -> Iterator[_Seat]:
        for watcher in self._watchers.values():
            yield from watcher.seats.values()
