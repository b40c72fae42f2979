"""The hub against a model: whatever happens, a watch is told each event once, in order, no gap."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.language.commands import Change, Event, KeyValue
from actors.language.messages import Connection
from actors.watch.audience import Match, View, Watch
from actors.watch.hub import Hub, Reading
from actors.watch.spans import OPEN_END, Span

CONNECTIONS = st.sampled_from([(b"\0one",), (b"\0two",), (b"\0three",)])
KEYS = st.sampled_from([b"a", b"ab", b"b", b"c"])
SPANS = st.sampled_from(
    [Span(b"a", b""), Span(b"a", b"b"), Span(b"b", b""), Span(b"b", OPEN_END), Span(b"a", b"ac")]
)
CHANGES = st.dictionaries(KEYS, st.sampled_from([Change.PUT, Change.DELETED]), min_size=1)
VIEWS = st.tuples(st.booleans(), st.booleans(), st.booleans()).map(lambda wishes: View(*wishes))


def holds(span: Span, key: bytes) -> bool:
    if not span.range_end:
        return key == span.key
    return span.key <= key and (span.range_end == OPEN_END or key < span.range_end)


class Told:
    """A watch, from where on it wants to be told, and what it was told."""

    def __init__(self, watch: Watch, start: int) -> None:
        self.watch = watch
        self.start = start
        self.events: list[Event] = []

    def wants(self, event: Event) -> bool:
        view = self.watch.view
        unwanted = view.no_put if event.change is Change.PUT else view.no_delete
        late_enough = event.kv.mod_revision >= self.start
        return late_enough and not unwanted and holds(self.watch.span, event.kv.key)


class HubModel(RuleBasedStateMachine):
    """The store is a list of events; the model of a watch is what it should have been told."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub()
        self.hub.publish(1, ())
        self.revision = 1
        self.compacted = 0
        self.history: list[Event] = []
        self.told: dict[tuple[Connection, int], Told] = {}
        self.held: set[Connection] = set()
        self.reading: Reading | None = None
        # The watches that what was read is still to be told, each with its events.
        self.telling: list[tuple[View, Watch, list[Event]]] | None = None

    # --- what happens to the store ---

    def written(self, changes: dict[bytes, Change]) -> list[Event]:
        self.revision += 1
        events = [
            Event(change, KeyValue(key, 0, self.revision, 0, b"", 0), None)
            for key, change in changes.items()
        ]
        self.history += events
        return events

    @rule(batch=st.lists(CHANGES, min_size=1, max_size=4))
    def write(self, batch: list[dict[bytes, Change]]) -> None:
        events = [event for changes in batch for event in self.written(changes)]
        self.take(self.hub.publish(self.revision, events), events)

    @rule(batch=st.lists(CHANGES, min_size=1, max_size=4), part=st.floats(0, 1))
    def write_what_is_too_much_for_some(
        self, batch: list[dict[bytes, Change]], part: float
    ) -> None:
        events = [event for changes in batch for event in self.written(changes)]
        matches = self.hub.publish(self.revision, events)
        told = matches[: int(part * len(matches))]
        self.take(told, events)
        left = [watch for match in matches[len(told) :] for watch in match.watches]
        self.hub.put_behind(left, events[0].kv.mod_revision)

    @rule(batch=st.lists(CHANGES, min_size=1, max_size=4))
    def install_a_snapshot(self, batch: list[dict[bytes, Change]]) -> None:
        for changes in batch:
            self.written(changes)
        self.hub.skip(self.revision)

    @rule(part=st.floats(0, 1))
    def compact(self, part: float) -> None:
        self.compacted = max(self.compacted, int(part * self.revision))

    # --- what clients do ---

    @rule(connection=CONNECTIONS, span=SPANS, view=VIEWS, back=st.none() | st.integers(-3, 9))
    def open(self, connection: Connection, span: Span, view: View, back: int | None) -> None:
        start = 0 if back is None else max(1, self.revision - back)
        watch = self.hub.open(connection, 0, span, view, start)
        assert isinstance(watch, Watch)
        key = connection, watch.watch_id
        assert key not in self.told
        self.told[key] = Told(watch, start or self.revision + 1)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        connection, watch_id = data.draw(st.sampled_from(sorted(self.told)))
        assert self.hub.cancel(connection, watch_id)
        del self.told[connection, watch_id]

    @rule(connection=CONNECTIONS)
    def leave(self, connection: Connection) -> None:
        gone = {key for key in self.told if key[0] == connection}
        forgotten = self.hub.forget(connection)
        assert {(watch.connection, watch.watch_id) for watch in forgotten} == gone
        self.told = {key: told for key, told in self.told.items() if key not in gone}
        self.held.discard(connection)

    @rule(connection=CONNECTIONS)
    def hold(self, connection: Connection) -> None:
        self.hub.hold(connection)
        self.held.add(connection)

    @rule(connection=CONNECTIONS)
    def release(self, connection: Connection) -> None:
        self.hub.release(connection)
        self.held.discard(connection)

    # --- reading ---

    @precondition(lambda self: self.reading is None and self.telling is None)
    @rule()
    def ask(self) -> None:
        self.reading = self.hub.next_reading()

    @precondition(lambda self: self.reading is not None)
    @rule(part=st.floats(0, 1))
    def answer(self, part: float) -> None:
        assert self.reading is not None
        (since, spans, _), self.reading = self.reading, None
        assert since <= self.revision
        if since < self.compacted:
            for watch in self.hub.lost(self.revision):
                lost = self.told.pop((watch.connection, watch.watch_id))
                assert not self.missing(lost) or self.needs(lost) >= since
            return
        reached = since + int(part * (self.revision - since))
        events = [
            event
            for event in self.history
            if since <= event.kv.mod_revision <= reached
            and (not spans or any(holds(span, event.kv.key) for span in spans))
        ]
        self.telling = [
            (match.view, watch, [events[position] for position in match.positions])
            for matches in self.hub.read(reached, self.revision, events)
            for match in matches
            for watch in match.watches
        ]

    @precondition(lambda self: self.telling is not None)
    @rule(count=st.integers(0, 3))
    def tell_some(self, count: int) -> None:
        assert self.telling is not None
        for view, watch, events in self.telling[:count]:
            if self.hub.may_tell(watch):
                self.take([Match(view, (watch,), range(len(events)))], events)
        del self.telling[:count]
        if not self.telling:
            self.hub.end_reading()
            self.telling = None

    # --- what must be true ---

    def take(self, matches: list[Match], events: list[Event]) -> None:
        for view, watches, positions in matches:
            assert positions
            for watch in watches:
                assert watch.view == view
                assert watch.connection not in self.held
                told = self.told[watch.connection, watch.watch_id]
                told.events += [events[position] for position in positions]

    def expected(self, told: Told) -> list[Event]:
        return [event for event in self.history if told.wants(event)]

    def missing(self, told: Told) -> list[Event]:
        return self.expected(told)[len(told.events) :]

    def needs(self, told: Told) -> int:
        return min(event.kv.mod_revision for event in self.missing(told))

    def tellings(self) -> Iterator[Told]:
        yield from self.told.values()

    @invariant()
    def all_were_told_the_beginning_of_what_there_was(self) -> None:
        for told in self.tellings():
            expected = self.expected(told)
            assert told.events == expected[: len(told.events)]
            if told.events and self.missing(told):
                assert told.events[-1].kv.mod_revision < self.needs(told), "a revision is split"

    @invariant()
    def what_is_said_to_be_delivered_is(self) -> None:
        assert len(self.hub) == len(self.told)
        for told in self.tellings():
            delivered = self.hub.delivered(told.watch.connection)
            assert delivered <= self.revision
            assert not self.missing(told) or self.needs(told) > delivered

    def is_behind(self) -> bool:
        """Whether something is being read or told, or is to be read now."""
        if self.reading is None and self.telling is None:
            self.reading = self.hub.next_reading()
        return self.reading is not None or self.telling is not None

    def teardown(self) -> None:
        """When nobody is held and all is read, nobody lacks anything."""
        for connection in list(self.held):
            self.release(connection)
        while self.is_behind():
            if self.reading is not None:
                self.answer(1)
            while self.telling is not None:
                self.tell_some(1)
        for told in self.tellings():
            assert self.missing(told) == []


HubModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestHubAgainstItsModel = HubModel.TestCase
