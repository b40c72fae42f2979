"""Nodes that change their keys under a client that names them: whom it asks, what it believes."""

from __future__ import annotations

from typing import Any

from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.key_news import NEWS_AGAIN_SECONDS, NewKey, all_keyed
from tests.cluster.rig import HEADER, Rig

OLD, NEXT = "a1" * 32, "b2" * 32


class Keyed(Rig):
    """A client of two nodes whose keys it names; members 1 and 2 are there."""

    def __init__(self, keyed: tuple[str, ...] = ("a", "b")) -> None:
        super().__init__(up=False)
        options = CallOptions(5.0, exactly_once=False)
        self.core = Core(["a", "b"], options, lambda: 0.5, keyed=keyed)

    def up(self, endpoint: str) -> None:
        self.core.endpoint_up(endpoint, self.now)

    def refused(self, endpoint: str) -> list[tuple[str, dict[str, Any]]]:
        """The node there refuses the client; what is asked then."""
        self.core.key_news.refused(endpoint, self.now)
        return self.sent()

    def tell(self, frame: tuple[str, dict[str, Any]], member_id: int, *keys: str) -> None:
        """Member `member_id` answers that member 1 has these keys."""
        listed = [
            {"ID": each, "name": "", "peerURLs": [], "clientURLs": [], "keys": has}
            for each, has in ((1, list(keys)), (2, [OLD]))
        ]
        self.answer(frame, members=listed, header={**HEADER, "member_id": member_id})

    def met(self) -> None:
        """Both nodes are connected, and have said who they are."""
        for number, name in enumerate(("a", "b"), 1):
            self.up(name)
            frame = self.one()
            assert (frame[0], frame[1]["op"]) == (name, "member_list")
            self.tell(frame, number, OLD)


def test_another_node_tells_which_key_the_one_that_refuses_has_now() -> None:
    rig = Keyed()
    rig.met()
    rig.core.endpoint_down("a", rig.now)
    (frame,) = rig.refused("a")
    assert (frame[0], frame[1]["op"]) == ("b", "member_list")
    rig.tell(frame, 2, OLD, NEXT)
    assert rig.core.key_news.found == [NewKey("a", NEXT)]


def test_it_is_asked_again_only_after_a_while() -> None:
    rig = Keyed()
    rig.met()
    rig.core.endpoint_down("a", rig.now)
    assert len(rig.refused("a")) == 1
    assert rig.refused("a") == []
    rig.advance(NEWS_AGAIN_SECONDS)
    assert len(rig.refused("a")) == 1


def test_a_node_that_was_never_met_is_not_looked_for() -> None:
    rig = Keyed()
    rig.up("b")
    rig.tell(rig.one(), 2, OLD)
    assert rig.refused("a") == []


def test_nobody_is_asked_if_nobody_is_there() -> None:
    rig = Keyed()
    rig.met()
    for name in ("a", "b"):
        rig.core.endpoint_down(name, rig.now)
    assert rig.refused("a") == []


def test_what_a_node_says_counts_only_if_the_keys_of_all_are_named() -> None:
    pinned = {"a": f"tcp://a:1#{OLD}", "b": f"tcp://b:1#{OLD}"}
    assert all_keyed(pinned) == ("a", "b")
    assert all_keyed({**pinned, "c": "tcp://c:1"}) == ()
    rig = Keyed(keyed=())
    for name in ("a", "b"):
        rig.up(name)
    assert rig.sent() == []
    assert rig.refused("a") == []
