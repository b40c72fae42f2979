"""An entry that nobody can read: the same counted no-op everywhere, and an alarm."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.auth import NODE
from actors.language.codec import encode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    MemberPeers,
    Put,
    SetMembers,
)
from actors.language.entries import Entry, Proposal
from actors.language.messages import Apply, Propose, Tick
from actors.raft.for_store import for_store
from actors.raft.membership import encode
from actors.store import pace
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.store.raiser import RAISE_AGAIN_MS
from tests.log_lines import written
from tests.raft.harness import voters
from tests.store.driver import TERM
from tests.store.shell import HERE, Node
from tests.twins import MemoryBackend

RAISE = AlarmActivate(HERE, AlarmType.UNREADABLE)
CLEAR = AlarmDeactivate(HERE, AlarmType.UNREADABLE)
PROPOSED = ("raft", Propose((Proposal(HERE, 0, encode_command(RAISE, None, NODE)),)))

UNREADABLE = [
    b"\xc1garbage",
    b"\x00",
    b"not json",
    encode_command(Put(b"k", b"v"), None)[:-1],
    encode(voters(3))[:-1],
    b"{",
    b'{"peers":[],"voters":[]}',
    b'{"peers":[[1,["tcp://a:1"]]],"voters":[1,2]}',
    b"[" * 100_000,
    b"{" + b'"a":[' * 100_000,
]


@pytest.fixture
def node() -> Node:
    return Node(MemoryBackend())


def feed(node: Node, data: bytes, *, ticket: int = 0) -> Entry:
    """Apply an entry of these bytes as Raft hands it over; nothing may be answered."""
    entry = node.entry(None)._replace(command=data, ticket=ticket, time_ms=node.time_ms)
    node.told.clear()
    node.actor.receive(Apply(for_store((entry,))))
    return entry


def tick(node: Node, milliseconds: int = 1) -> list[tuple[str, Any]]:
    """What is told when time passes."""
    node.now_ms += milliseconds
    return node.hear(Tick(node.now_ms))


@pytest.mark.parametrize("data", UNREADABLE)
def test_an_entry_that_nobody_can_read_moves_only_the_place_in_the_log(
    node: Node, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    node.apply(Put(b"k", b"1"))
    before = node.machine.revision
    entry = feed(node, data, ticket=7)
    assert (node.machine.applied_index, node.machine.applied_term) == (entry.index, TERM)
    assert node.machine.revision == before
    assert not [told for address, told in node.told if address == "gateway"]
    assert f"entry {entry.index} of term {TERM} cannot be read" in caplog.text
    node.apply(Put(b"k", b"2"))
    assert node.machine.revision == before + 1


def test_the_alarm_is_proposed_until_it_stands_and_not_again(node: Node) -> None:
    feed(node, b"\xc1")
    assert PROPOSED in tick(node)
    assert PROPOSED not in tick(node)
    assert PROPOSED in tick(node, RAISE_AGAIN_MS)
    node.apply(RAISE)
    assert PROPOSED not in tick(node, RAISE_AGAIN_MS)
    feed(node, b"\xc1")
    assert PROPOSED not in tick(node)
    assert AlarmMember(*RAISE) in node.machine.alarms
    node.apply(CLEAR)
    assert PROPOSED not in tick(node, RAISE_AGAIN_MS)
    feed(node, b"\xc1")
    assert PROPOSED in tick(node)


def test_a_newcomer_raises_the_alarm_once_it_has_applied_that_it_is_a_member(node: Node) -> None:
    other = MemberPeers(HERE + 1, ("tcp://other:2380",), False)
    node.apply(SetMembers((other,), encode(voters(3))))
    feed(node, b"\xc1")
    assert PROPOSED not in tick(node)
    own = MemberPeers(HERE, ("tcp://here:2380",), True)
    node.apply(SetMembers((own, other), encode(voters(3))))
    assert PROPOSED in tick(node, RAISE_AGAIN_MS)


def test_many_such_entries_are_said_once_a_minute_with_their_number(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        feed(node, b"\xc1")
    said = [record for record in caplog.records if "cannot be read" in record.getMessage()]
    assert (len(said), len(written(said))) == (100, 1)


def test_after_a_restart_the_entry_is_skipped_again() -> None:
    backend = MemoryBackend()
    node = Node(backend)
    node.apply(Put(b"k", b"1"))
    node.commit()
    entries = [node.entry(None)._replace(command=b"\xc1"), node.entry(Put(b"k", b"2"))]
    again = Node(backend)
    again.told.clear()
    again.actor.receive(Apply(for_store(tuple(entries))))
    assert again.machine.applied_index == entries[-1].index
    assert PROPOSED in tick(again)


def test_the_alarm_does_not_wait_for_a_commit_that_is_due_already(node: Node) -> None:
    node.apply(Put(b"k", b"1"))
    assert node.actor.mailbox.next_wake_ms == node.now_ms + COMMIT_INTERVAL_MS
    feed(node, b"\xc1")
    assert node.actor.mailbox.next_wake_ms == node.now_ms


def test_the_alarm_is_not_forgotten_where_its_entry_is_committed_at_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "COMMIT_CHANGES_MAX", 1)
    feed(node, b"\xc1")
    assert node.actor.mailbox.next_wake_ms == node.now_ms
