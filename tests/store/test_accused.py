"""Whose name the store tells Raft, and the alarms for members that others have found wrong."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from actors.language.codec import decode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmType,
    MemberPeers,
    MemberPublish,
    Put,
    SetMembers,
)
from actors.language.members import PublishedMember
from actors.language.messages import Accuse, Propose, Published
from actors.store.raiser import RAISE_AGAIN_MS
from tests.store.shell import Node
from tests.twins import MemoryBackend

MEMBERS = SetMembers(tuple(MemberPeers(each, (f"tcp://h{each}:1",), False) for each in (1, 2)), b"")
NAMED = MemberPublish(2, "n2", ("tcp://c2:1",))
NAMES = Published((PublishedMember(2, "n2", ("tcp://c2:1",)),))


def proposed(told: list[tuple[str, Any]]) -> list[Any]:
    """The commands that were proposed."""
    messages = [message for _, message in told if isinstance(message, Propose)]
    return [decode_command(each.command)[0] for one in messages for each in one.proposals]


def published(told: list[tuple[str, Any]]) -> list[Published]:
    return [message for _, message in told if isinstance(message, Published)]


def founded() -> Node:
    node = Node(MemoryBackend())
    node.apply(MEMBERS, NAMED)
    return node


def test_raft_hears_who_has_told_a_name_when_that_changes_and_at_the_start() -> None:
    node = Node(MemoryBackend())
    assert published(node.apply(MEMBERS)) == [Published(())]
    assert published(node.apply(NAMED)) == [NAMES]
    assert published(node.apply(Put(b"k", b"v"))) == []
    node.commit()
    restarted = Node(node.backend)
    restarted.actor.open()
    assert published(restarted.told) == [NAMES]
    # Whoever has been removed is not asked for any more.
    gone = MEMBERS._replace(members=MEMBERS.members[:1])
    assert published(restarted.apply(gone)) == [Published(())]


def test_an_accused_member_is_named_and_its_alarm_proposed_until_it_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = founded()
    alarm = AlarmActivate(2, AlarmType.DATA_LOSS)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(2):
            node.hear(Accuse(2))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "n2" in said and "(2)" in said
    for _ in range(2):
        assert proposed(node.tick()) == [alarm]
        node.now_ms += RAISE_AGAIN_MS
    node.apply(alarm)
    assert proposed(node.tick()) == []
    node.hear(Accuse(2))
    assert proposed(node.tick()) == [], "it stands"


def test_nobody_raises_an_alarm_for_a_member_that_is_none() -> None:
    node = founded()
    node.hear(Accuse(9))
    assert proposed(node.tick()) == []
    node.hear(Accuse(2))
    node.apply(MEMBERS._replace(members=MEMBERS.members[:1]))
    assert proposed(node.tick()) == []
