"""The hub: ids, limits, and which watch sees which event."""

from __future__ import annotations

from actors.store.commands import Change, Event, Failure, KeyValue
from actors.watch.hub import DUPLICATE_ID, EMPTY_RANGE, Connection, Hub, Refused, View, Watch
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
) -> Watch:
    opened = hub.open(connection, watch_id, Span(key, range_end), view, 0)
    assert isinstance(opened, Watch)
    return opened


def seen(hub: Hub, *events: Event) -> dict[tuple[Connection, int], list[int]]:
    """For each watch that sees anything, the positions of what it sees."""
    return {
        (each.connection, each.watch_id): list(match.positions)
        for match in hub.match(events)
        for each in match.watches
    }


def test_a_watch_sees_its_key_its_prefix_or_everything_after_its_key() -> None:
    hub = Hub()
    watch(hub, b"a/b")
    watch(hub, b"a/", b"a0")
    watch(hub, b"b", OPEN_END)
    watch(hub, b"a", b"a/b\0")
    events = put(b"a", 2), put(b"a/b", 3), put(b"a/c", 4), put(b"c", 5)
    assert seen(hub, *events) == {(ONE, 1): [1], (ONE, 2): [1, 2], (ONE, 3): [3], (ONE, 4): [0, 1]}


def test_filters_leave_out_what_they_name() -> None:
    hub = Hub()
    watch(hub, b"k", view=PLAIN._replace(no_put=True))
    watch(hub, b"k", view=PLAIN._replace(no_delete=True))
    watch(hub, b"k", view=PLAIN._replace(no_put=True, no_delete=True))
    events = put(b"k", 2), delete(b"k", 3), delete(b"k", 4, Change.LEASE_EXPIRED)
    assert seen(hub, *events) == {(ONE, 1): [1, 2], (ONE, 2): [0]}


def test_a_watch_of_the_future_is_silent_until_its_revision() -> None:
    hub = Hub()
    watch(hub, b"k", view=PLAIN._replace(from_revision=5))
    assert seen(hub, put(b"k", 3)) == {}
    assert seen(hub, put(b"k", 4), put(b"k", 5)) == {(ONE, 1): [1]}


def test_the_lowest_free_id_is_chosen_from_one_up() -> None:
    hub = Hub()
    assert [watch(hub, b"k").watch_id for _ in range(3)] == [1, 2, 3]
    watch(hub, b"k", watch_id=4)
    hub.cancel(ONE, 2)
    assert [watch(hub, b"k").watch_id for _ in range(2)] == [2, 5]
    assert watch(hub, b"k", connection=TWO).watch_id == 1


def test_an_id_in_use_and_an_empty_interval_are_refused_in_etcds_words() -> None:
    hub = Hub()
    watch(hub, b"k", watch_id=9)
    assert hub.open(ONE, 9, Span(b"k", b""), PLAIN, 0) == Refused(DUPLICATE_ID)
    assert hub.open(ONE, 0, Span(b"k", b"k"), PLAIN, 0) == Refused(EMPTY_RANGE)
    assert hub.open(ONE, 0, Span(b"k", b"a"), PLAIN, 0) == Refused(EMPTY_RANGE)
    refused = hub.open(ONE, 0, Span(b"k", b""), PLAIN, -1)
    assert refused == Refused("etcdserver: mvcc: required revision has been compacted")
    assert len(hub) == 1


def test_watches_are_limited_for_a_connection_and_for_the_node() -> None:
    hub = Hub(per_connection_max=2, per_node_max=3)
    watch(hub, b"a")
    watch(hub, b"b")
    assert hub.open(ONE, 0, Span(b"c", b""), PLAIN, 0) == Failure("TooManyRequests")
    watch(hub, b"c", connection=TWO)
    assert hub.open(TWO, 0, Span(b"d", b""), PLAIN, 0) == Failure("TooManyRequests")
    hub.cancel(ONE, 1)
    watch(hub, b"d", connection=TWO)


def test_a_canceled_watch_sees_nothing_more_and_its_like_goes_on() -> None:
    hub = Hub()
    watch(hub, b"k")
    watch(hub, b"k")
    assert hub.cancel(ONE, 1)
    assert not hub.cancel(ONE, 1)
    assert not hub.cancel(TWO, 2)
    assert seen(hub, put(b"k", 2)) == {(ONE, 2): [0]}


def test_a_connection_is_known_until_it_is_forgotten() -> None:
    hub = Hub()
    watch(hub, b"k")
    hub.open(TWO, 0, Span(b"k", b"a"), PLAIN, 0)
    hub.cancel(ONE, 1)
    assert hub.end(TWO) == ()
    assert list(hub.connections) == [ONE, TWO]
    hub.forget(ONE)
    assert list(hub.connections) == [TWO]


def test_forgetting_a_connection_ends_its_watches_and_no_others() -> None:
    hub = Hub()
    watch(hub, b"k")
    watch(hub, b"p", b"q")
    watch(hub, b"k", connection=TWO)
    assert [each.watch_id for each in hub.forget(ONE)] == [1, 2]
    assert hub.forget(ONE) == ()
    assert list(hub.connections) == [TWO]
    assert seen(hub, put(b"k", 2), put(b"p", 3)) == {(TWO, 1): [0]}


def test_a_hundred_watches_of_one_prefix_are_one_match() -> None:
    hub = Hub()
    for number in range(100):
        watch(hub, b"p/", b"p0", connection=(b"\0%d" % number,))
    (match,) = hub.match([put(b"p/k", 2)])
    assert len(match.watches) == 100
