"""The channel between a launcher and a node: both ends, in one process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors.runtime.channel import Channel
from cluster.launcher.links.channel import KEPT_MAX, NodeChannel
from cluster.launcher.story.happenings import Happening
from cluster.link_plan import LinkFault, LinkPlan

CUT = LinkPlan({7: LinkFault(cut=True)}, {0: LinkFault(delay_ms=20, loss=0.5)})
TOLD = {"kind": "voted", "at": 5.5, "wall": 1_800_000_000.0, "text": "it voted"}


@pytest.fixture
def launcher() -> Iterator[NodeChannel]:
    """The launcher's end of the channel to n1."""
    channel = NodeChannel("n1", lambda member_id: f"n{member_id}")
    yield channel
    channel.close()


@pytest.fixture
def node(launcher: NodeChannel) -> Iterator[Channel]:
    """The node's end, as a process inherits it."""
    channel = Channel(os.dup(launcher.node_fd))
    launcher.hand_over()
    yield channel
    channel.close()


def told(**fields: Any) -> dict[str, Any]:
    return {**TOLD, **fields}


def happening(**fields: Any) -> Happening:
    return Happening(5.5, 1_800_000_000.0, "voted", "n1", "it voted", fields)


def test_what_was_said_before_the_process_began_holds_from_the_start(
    launcher: NodeChannel,
) -> None:
    launcher.say(links=CUT.document(), record=True)
    node = Channel(os.dup(launcher.node_fd))
    assert (node.link_plan, node.is_recording) == (CUT, True)
    node.close()


def test_a_node_lives_by_the_last_plan_and_confirms_it(
    launcher: NodeChannel, node: Channel
) -> None:
    for plan in (CUT, LinkPlan()):
        launcher.say(links=plan.document())
        launcher.read()
        assert not launcher.is_applied
        node.catch_up()
        launcher.read()
        assert (node.link_plan, launcher.is_applied) == (plan, True)


@pytest.mark.parametrize(
    "plan",
    [
        {"outgoing": {"everybody": {"cut": True}}},
        {"incoming": {"7": {"cut": 1}}},
        {"incoming": {"7": {"slow": True}}},
        {"incoming": {"7": {"loss": 1.5}}},
        {"incoming": {"7": {"delay_ms": -1}}},
        {"incoming": [7]},
        [],
    ],
)
def test_a_plan_that_is_none_changes_nothing_and_is_not_confirmed(
    launcher: NodeChannel, node: Channel, plan: Any
) -> None:
    launcher.say(links=CUT.document())
    launcher.say(links=plan)
    node.catch_up()
    launcher.read()
    assert (node.link_plan, launcher.is_applied) == (CUT, False)


def test_what_a_node_tells_is_a_happening_there(launcher: NodeChannel, node: Channel) -> None:
    node.tell(told(candidate="n2", votes=["n1", "n3"], granted=True, term=3))
    assert launcher.take() == [
        happening(candidate="n2", votes=["n1", "n3"], granted=True, term=3),
    ]
    assert launcher.take() == []


def test_a_recorded_message_names_the_member_that_it_is_for(
    launcher: NodeChannel, node: Channel
) -> None:
    node.tell(told(kind="message", to=3, what="append"))
    assert launcher.take()[0].fields == {"to": "n3", "what": "append"}


def test_a_text_is_one_line_without_control_characters(
    launcher: NodeChannel, node: Channel
) -> None:
    node.tell(told(text="a\nb\x1b[2Jc\ud800", why="x\ty"))
    (heard,) = launcher.take()
    assert (heard.text, heard.fields) == ("a b [2Jc ", {"why": "x y"})


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe",
        b"[" * 60_000,
        b"7",
        b"{}",
        json.dumps(told(kind="ready")).encode(),  # a kind of the launcher's own
        json.dumps(told(kind=["voted"])).encode(),
        json.dumps(told(at="now")).encode(),
        json.dumps(told(wall=1e300)).encode(),
        json.dumps(told(at=True)).encode(),
        json.dumps(told(took_ms=float("nan"))).encode(),
        json.dumps(told()).encode()[:-1] + b',"took_ms":1e999}',
        json.dumps(told(text=5)).encode(),
        json.dumps(told(votes=[["n1"]])).encode(),
        json.dumps(told(peer={"name": "n2"})).encode(),
        json.dumps(told(why="x" * 200_000)).encode(),
    ],
)
def test_garbage_is_counted_and_what_follows_it_is_heard(
    launcher: NodeChannel, garbage: bytes
) -> None:
    with socket.socket(fileno=os.dup(launcher.node_fd)) as node:
        node.send(garbage)
        node.send(json.dumps(told()).encode())
        assert launcher.take() == [happening()]
    assert launcher.refused == 1


def test_a_node_never_waits_for_its_launcher_and_tells_what_was_dropped(
    launcher: NodeChannel, node: Channel
) -> None:
    for number in range(5 * KEPT_MAX):
        node.tell(told(term=number))
    heard = launcher.take()
    assert [each.fields["term"] for each in heard] == list(range(len(heard)))
    node.tell(told(term=-1))
    dropped, last = launcher.take()
    assert (dropped.kind, dropped.fields["untold"]) == ("slow", 5 * KEPT_MAX - len(heard))
    assert last.fields == {"term": -1}


def test_a_paused_node_lives_by_the_last_plan_when_it_goes_on(
    launcher: NodeChannel, node: Channel
) -> None:
    wide = LinkPlan({number: LinkFault(delay_ms=1) for number in range(300)})
    for _ in range(200):
        launcher.say(links=wide.document())
    launcher.say(links=CUT.document())
    for _ in range(3):
        node.catch_up()
        launcher.read()
    assert (node.link_plan, launcher.is_applied) == (CUT, True)


def test_an_ended_node_has_its_last_words_and_no_descriptor(
    launcher: NodeChannel, node: Channel
) -> None:
    node.tell(told())
    node.close()
    assert launcher.take() == [happening()]
    assert (launcher.fd, launcher.is_open) == (-1, False)
    launcher.say(links={})
    assert launcher.take() == []


def test_a_node_whose_launcher_is_gone_tells_nobody(launcher: NodeChannel, node: Channel) -> None:
    launcher.close()
    node.tell(told())
    node.catch_up()
    assert node.link_plan == LinkPlan()
