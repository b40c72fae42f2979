"""The hub: ids, limits, and which watch sees which event."""

from __future__ import annotations

from collections.abc import Sequence

from actors.language.auth import Principal
from actors.language.commands import Change, Event, KeyValue
from actors.language.messages import Connection
from actors.language.results import Failure
from actors.watch.audience import Match, View, Watch
from actors.watch.hub import (
    DUPLICATE_ID,
    EMPTY_RANGE,
    READING_SPANS_MAX,
    Hub,
    Reading,
    WatchRefused,
)
from actors.watch.spans import OPEN_END, Span

ONE = (b"\0one",)
TWO = (b"\0two",)
PLAIN = View(prev_kv=False, no_put=False, no_delete=False)


def put(key: bytes, revision: int) -> Event:
    return Event(Change.PUT, KeyValue(key, revision, revision, 1, b"v", 0), None)


def delete(key: bytes, revision: int, change: Change = Change.DELETED) -> Event:
    return Event(change, KeyValue(key, 0, revision, 0, b"", 0), None)


def watch(
    hub: Hub,
    key: bytes,
    range_end: bytes = b"",
    view: View = PLAIN,
    *,
    connection: Connection = ONE,
    watch_id: int = 0,
    start: int = 0,
) -> Watch:
    opened = hub.open(connection, watch_id, Span(key, range_end), view, start)
    assert isinstance(opened, Watch)
    return opened


def seen(hub: Hub, *events: Event) -> dict[tuple[Connection, int], list[int]]:
    """For each watch that sees anything of what happens, the positions of what it sees."""
    return positions(hub.publish(events[-1].kv.mod_revision, events))


def read(hub: Hub, reached: int, revision: int, events: Sequence[Event]) -> list[Match]:
    """The history that the hub asked for: each watch that matches is told at once."""
    matches = [match for found in hub.read(reached, revision, events) for match in found]
    for match in matches:
        for each in match.watches:
            assert hub.may_tell(each)
    hub.end_reading()
    return matches


def positions(matches: list[Match]) -> dict[tuple[Connection, int], list[int]]:
    return {
        (each.connection, each.watch_id): list(match.positions)
        for match in matches
        for each in match.watches
    }


def test_a_watch_sees_its_key_its_prefix_or_everything_after_its_key() -> None:
    hub = Hub()
    watch(hub, b"a/b")
    watch(hub, b"a/", b"a0")
    watch(hub, b"b", OPEN_END)
    watch(hub, b"a", b"a/b\0")
    events = put(b"a", 2), put(b"a/b", 3), put(b"a/c", 4), put(b"c", 5)
    assert seen(hub, *events) == {(ONE, 0): [1], (ONE, 1): [1, 2], (ONE, 2): [3], (ONE, 3): [0, 1]}


def test_filters_leave_out_what_they_name() -> None:
    hub = Hub()
    watch(hub, b"k", view=PLAIN._replace(no_put=True))
    watch(hub, b"k", view=PLAIN._replace(no_delete=True))
    watch(hub, b"k", view=PLAIN._replace(no_put=True, no_delete=True))
    events = put(b"k", 2), delete(b"k", 3), delete(b"k", 4, Change.LEASE_EXPIRED)
    assert seen(hub, *events) == {(ONE, 0): [1, 2], (ONE, 1): [0]}


def test_a_watch_of_the_future_is_silent_until_its_revision() -> None:
    hub = Hub()
    watch(hub, b"k", start=5)
    assert seen(hub, put(b"k", 3)) == {}
    assert seen(hub, put(b"k", 4), put(b"k", 5)) == {(ONE, 0): [1]}


def test_ids_are_chosen_from_zero_up_and_none_twice_as_in_etcd() -> None:
    hub = Hub()
    assert [watch(hub, b"k").watch_id for _ in range(3)] == [0, 1, 2]
    watch(hub, b"k", watch_id=4)
    assert hub.cancel(ONE, 0)
    assert [watch(hub, b"k").watch_id for _ in range(2)] == [3, 5]
    hub.end(ONE)
    assert watch(hub, b"k").watch_id == 6
    assert watch(hub, b"k", connection=TWO).watch_id == 0


def test_an_id_in_use_and_an_empty_interval_are_refused_in_etcds_words() -> None:
    hub = Hub()
    watch(hub, b"k", watch_id=9)
    assert hub.open(ONE, 9, Span(b"k", b""), PLAIN, 0) == WatchRefused(DUPLICATE_ID)
    assert hub.open(ONE, 0, Span(b"k", b"k"), PLAIN, 0) == WatchRefused(EMPTY_RANGE)
    assert hub.open(ONE, 0, Span(b"k", b"a"), PLAIN, 0) == WatchRefused(EMPTY_RANGE)
    refused = hub.open(ONE, 0, Span(b"k", b""), PLAIN, -1)
    assert refused == WatchRefused("etcdserver: mvcc: required revision has been compacted")
    assert len(hub) == 1


def test_watches_are_limited_for_a_connection_and_for_the_node() -> None:
    hub = Hub(per_connection_max=2, per_node_max=3)
    watch(hub, b"a")
    watch(hub, b"b")
    assert hub.open(ONE, 0, Span(b"c", b""), PLAIN, 0) == Failure("TooManyRequests")
    watch(hub, b"c", connection=TWO)
    assert hub.open(TWO, 0, Span(b"d", b""), PLAIN, 0) == Failure("TooManyRequests")
    hub.cancel(ONE, 0)
    watch(hub, b"d", connection=TWO)


def test_the_watches_of_a_user_are_limited_on_all_connections_together() -> None:
    hub, ann = Hub(), Principal(7, 1)

    def opened(connection: Connection, who: Principal = ann, user_max: int = 2) -> bool:
        found = hub.open(connection, 0, Span(b"k", b""), PLAIN, 0, who, user_max)
        assert isinstance(found, Watch) or found == Failure("TooManyRequests")
        return isinstance(found, Watch)

    assert [opened(ONE), opened(TWO), opened(ONE), opened(TWO)] == [True, True, False, False]
    assert opened(ONE, Principal(7, 9), user_max=0), "no limit any more"
    assert opened(ONE, Principal(8, 1)), "another user"
    assert not opened(ONE, user_max=3)
    hub.cancel(TWO, 0)
    assert [opened(ONE, user_max=3), opened(ONE, user_max=3)] == [True, False]
    hub.forget(ONE)
    assert [opened(TWO), opened(TWO), opened(TWO)] == [True, True, False]
    hub.revoke({})
    assert [opened(TWO), opened(TWO), opened(TWO)] == [True, True, False]


def test_a_canceled_watch_sees_nothing_more_and_its_like_goes_on() -> None:
    hub = Hub()
    watch(hub, b"k")
    watch(hub, b"k")
    assert hub.cancel(ONE, 0)
    assert not hub.cancel(ONE, 0)
    assert not hub.cancel(TWO, 1)
    assert seen(hub, put(b"k", 2)) == {(ONE, 1): [0]}


def test_a_connection_is_known_until_it_is_forgotten() -> None:
    hub = Hub()
    watch(hub, b"k")
    hub.open(TWO, 0, Span(b"k", b"a"), PLAIN, 0)
    hub.cancel(ONE, 0)
    assert hub.end(TWO) == ()
    assert list(hub.connections) == [ONE, TWO]
    hub.forget(ONE)
    assert list(hub.connections) == [TWO]


def test_forgetting_a_connection_ends_its_watches_and_no_others() -> None:
    hub = Hub()
    watch(hub, b"k")
    watch(hub, b"p", b"q")
    watch(hub, b"k", connection=TWO)
    assert [each.watch_id for each in hub.forget(ONE)] == [0, 1]
    assert hub.forget(ONE) == ()
    assert list(hub.connections) == [TWO]
    assert seen(hub, put(b"k", 2), put(b"p", 3)) == {(TWO, 0): [0]}


def test_a_hundred_watches_of_one_prefix_are_one_match() -> None:
    hub = Hub()
    for number in range(100):
        watch(hub, b"p/", b"p0", connection=(b"\0%d" % number,))
    (match,) = hub.publish(2, [put(b"p/k", 2)])
    assert len(match.watches) == 100


# --- behind, and held -------------------------------------------------------------------------


def at(revision: int) -> Hub:
    hub = Hub()
    hub.publish(revision, ())
    return hub


def test_a_watch_of_the_past_reads_until_nothing_is_missing_and_then_follows() -> None:
    hub = at(9)
    watch(hub, b"k", start=3)
    assert hub.next_reading() == Reading(3, (Span(b"k", b""),), False)
    assert hub.next_reading() is None
    assert positions(read(hub, 5, 9, [put(b"k", 4)])) == {(ONE, 0): [0]}
    assert seen(hub, put(b"k", 10)) == {}
    assert hub.next_reading() == Reading(6, (Span(b"k", b""),), False)
    assert positions(read(hub, 10, 10, [put(b"k", 10)])) == {(ONE, 0): [0]}
    assert hub.next_reading() is None
    assert seen(hub, put(b"k", 11)) == {(ONE, 0): [0]}


def test_watches_that_need_the_same_read_it_once() -> None:
    hub = at(9)
    watch(hub, b"a", start=3)
    watch(hub, b"b", view=PLAIN._replace(prev_kv=True), start=3, connection=TWO)
    assert hub.next_reading() == Reading(3, (Span(b"a", b""), Span(b"b", b"")), True)
    events = put(b"a", 4), put(b"b", 5)
    assert positions(read(hub, 9, 9, events)) == {(ONE, 0): [0], (TWO, 0): [1]}


def test_an_audience_of_many_spans_reads_everything_and_keeps_what_it_watches() -> None:
    hub = at(9)
    for number in range(READING_SPANS_MAX + 1):
        watch(hub, b"%d" % number, start=3)
    assert hub.next_reading() == Reading(3, (), False)
    assert positions(read(hub, 9, 9, [put(b"x", 4), put(b"3", 5)])) == {(ONE, 3): [1]}


def test_a_watch_that_begins_during_a_reading_has_a_reading_of_its_own() -> None:
    hub = at(9)
    watch(hub, b"a", start=3)
    hub.next_reading()
    watch(hub, b"b", start=3)
    assert positions(read(hub, 9, 9, [put(b"a", 4), put(b"b", 5)])) == {(ONE, 0): [0]}
    assert hub.next_reading() == Reading(3, (Span(b"b", b""),), False)


def test_a_held_connection_is_told_nothing_and_goes_on_where_it_stopped() -> None:
    hub = at(3)
    watch(hub, b"k")
    watch(hub, b"k", connection=TWO)
    hub.hold(ONE)
    assert seen(hub, put(b"k", 4), put(b"k", 5)) == {(TWO, 0): [0, 1]}
    assert hub.next_reading() is None
    assert (hub.delivered(ONE), hub.delivered(TWO)) == (3, 5)
    hub.release(ONE)
    assert hub.next_reading() == Reading(4, (Span(b"k", b""),), False)
    assert positions(read(hub, 5, 5, [put(b"k", 4), put(b"k", 5)])) == {(ONE, 0): [0, 1]}
    assert seen(hub, put(b"k", 6)) == {(ONE, 0): [0], (TWO, 0): [0]}


def test_a_connection_that_missed_nothing_while_it_was_held_needs_not_read() -> None:
    hub = at(3)
    watch(hub, b"k")
    hub.hold(ONE)
    watch(hub, b"k")
    hub.release(ONE)
    assert hub.next_reading() is None
    assert seen(hub, put(b"k", 4)) == {(ONE, 0): [0], (ONE, 1): [0]}


def test_what_was_read_for_a_watch_that_is_held_meanwhile_is_read_again() -> None:
    hub = at(9)
    watch(hub, b"k", start=3)
    hub.next_reading()
    hub.hold(ONE)
    assert read(hub, 9, 9, [put(b"k", 4)]) == []
    hub.release(ONE)
    assert hub.next_reading() == Reading(3, (Span(b"k", b""),), False)


def test_a_canceled_watch_reads_nothing_more() -> None:
    hub = at(9)
    for start in (3, 3, 5):
        watch(hub, b"k", start=start)
    hub.next_reading()
    assert [hub.cancel(ONE, number) for number in (0, 1, 2)] == [True, True, True]
    assert read(hub, 4, 9, [put(b"k", 4)]) == []
    assert hub.next_reading() is None


def test_what_is_skipped_is_read_by_all_who_wanted_it() -> None:
    hub = at(3)
    watch(hub, b"k")
    watch(hub, b"k", start=6)
    watch(hub, b"k", start=20)
    hub.skip(9)
    assert hub.next_reading() == Reading(4, (Span(b"k", b""),), False)
    assert positions(read(hub, 9, 9, [put(b"k", 5), put(b"k", 6)])) == {(ONE, 0): [0, 1]}
    assert hub.next_reading() == Reading(6, (Span(b"k", b""),), False)
    assert positions(read(hub, 9, 9, [put(b"k", 6)])) == {(ONE, 1): [0]}
    assert seen(hub, put(b"k", 19), put(b"k", 20)) == {
        (ONE, 0): [0, 1],
        (ONE, 1): [0, 1],
        (ONE, 2): [1],
    }


def test_whoever_needs_what_is_compacted_away_ends_and_others_do_not() -> None:
    hub = at(9)
    early = watch(hub, b"k", start=3)
    watch(hub, b"k", start=8)
    hub.next_reading()
    assert hub.lost(9) == (early,)
    assert not hub.cancel(ONE, 0)
    assert hub.next_reading() == Reading(8, (Span(b"k", b""),), False)


def test_turns_go_round_the_connections() -> None:
    hub = at(99)
    for start in range(2, 90):
        watch(hub, b"k", start=start)
    watch(hub, b"x", start=95, connection=TWO)
    turns = []
    while reading := hub.next_reading():
        turns.append(reading.from_revision)
        read(hub, 99, 99, [])
    assert turns == [2, 95, *range(3, 90)]


def test_a_long_history_does_not_keep_a_short_one_waiting() -> None:
    hub = at(99)
    watch(hub, b"k", start=2)
    watch(hub, b"x", start=95, connection=TWO)
    turns = []
    while reading := hub.next_reading():
        turns.append(reading.from_revision)
        read(hub, min(reading.from_revision + 30, 99), 99, [])
    assert turns == [2, 95, 33, 64, 95]


def test_only_live_watches_that_asked_and_have_begun_follow_the_progress() -> None:
    hub = at(9)
    asks = PLAIN._replace(progress=True)
    watch(hub, b"k")
    live = watch(hub, b"k", view=asks)
    watch(hub, b"k", view=asks, start=3)
    watch(hub, b"k", view=asks, start=12)
    assert list(hub.followers()) == [(live,)]
