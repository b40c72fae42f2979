"""A client that can reach none of its endpoints turns to the members that it has learned of."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import Client
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.direct import Dial
from cluster.client.engine.learned import AGAIN_SECONDS, FIRST_SECONDS
from cluster.launcher.local import LocalCluster
from tests.cluster.inner import connection_of
from tests.cluster.probe import until
from tests.cluster.rig import Rig
from tests.limits import PATIENT


class Learner(Rig):
    """A client that was given these endpoints."""

    def __init__(self, **addresses: str) -> None:
        super().__init__(*addresses, exactly_once=False)
        options = CallOptions(5.0, exactly_once=False)
        self.core = Core(addresses, options, lambda: 0.5, addresses=addresses)
        for name in addresses:
            self.core.endpoint_up(name, self.now)

    def learn(self, *urls: tuple[str, ...]) -> None:
        """Let the time come, and answer with members that have these client URLs."""
        self.advance(FIRST_SECONDS)
        name, request = self.one()
        assert request["op"] == "member_list"
        members = [
            {"ID": number, "name": "n", "peerURLs": [], "clientURLs": list(each)}
            for number, each in enumerate(urls)
        ]
        self.answer((name, request), members=members)

    def dialled(self) -> list[Dial]:
        dials = self.core.dials.copy()
        self.core.dials.clear()
        return dials


def to(place: str) -> Dial:
    return Dial(place, f"tcp://{place}", is_direct=False)


@pytest.mark.quick
def test_members_are_connected_to_when_no_endpoint_is_left() -> None:
    rig = Learner(a="tcp://h:1", b="tcp://h:2")
    rig.learn(("tcp://h:1",), ("http://h:3", "tcp://h:4"), ("http://h:5",))
    rig.core.endpoint_down("a", rig.now)
    assert rig.dialled() == []
    rig.core.endpoint_down("b", rig.now)
    assert rig.dialled() == [to("h:4"), to("h:5")]
    waiting = rig.call("range")
    rig.core.endpoint_up("h:4", rig.now)
    frame = rig.one()
    assert frame[0] == "h:4"
    rig.answer(frame, kvs=[], more=False, count=0)
    assert waiting.reply is not None
    rig.core.endpoint_up("a", rig.now)
    rig.core.endpoint_down("h:4", rig.now)
    rig.call("range")
    assert rig.one()[0] == "a"
    rig.core.endpoint_down("a", rig.now)
    assert rig.dialled() == [], "they are connected to already"


@pytest.mark.quick
def test_the_members_are_asked_for_again() -> None:
    rig = Learner(a="tcp://h:1")
    rig.learn(("tcp://h:2",))
    rig.advance(AGAIN_SECONDS - FIRST_SECONDS)
    rig.learn(("tcp://h:3",))
    rig.core.endpoint_down("a", rig.now)
    assert rig.dialled() == [to("h:3")]


@pytest.mark.quick
@pytest.mark.parametrize("address", ["https://h:1", "tcp://h:1#key"])
def test_nothing_is_learned_where_a_way_must_be_safe(address: str) -> None:
    rig = Learner(a=address)
    rig.advance(10 * AGAIN_SECONDS)
    assert rig.sent() == []


@pytest.mark.quick
def test_foreign_answers_and_urls_are_ignored() -> None:
    rig = Learner(a="tcp://h:1")
    rig.learn(("tcp://_:x", "unix://y"), ())
    rig.advance(AGAIN_SECONDS)
    frame = rig.one()
    rig.answer(frame, members="none")
    rig.core.endpoint_down("a", rig.now)
    assert rig.dialled() == []


@pytest.mark.process
def test_a_client_of_one_endpoint_survives_its_death(tmp_path: Any) -> None:
    with LocalCluster(size=3, data_dir=tmp_path / "nodes") as cluster:
        first, *_ = cluster.endpoints
        with Client(first, **PATIENT) as client:
            client.put("k", "before")
            learned = connection_of(client)._core._learned
            until(lambda: len(learned._waiting) == 2)
            cluster.kill(next(iter(cluster.nodes)))
            client.put("k", "after")
            found = client.get("k")
            assert found is not None and found.value == b"after"
            assert client.endpoints == (first,)
