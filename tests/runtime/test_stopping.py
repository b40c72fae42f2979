"""A node ends, even if one of its actors does not."""

from __future__ import annotations

from typing import Any, cast

import pytest

from actors import node
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop


class Stuck(NodeActor):
    """Nobody runs it."""

    def receive(self, message: Any) -> None:
        raise AssertionError("nobody runs it")


def test_a_node_waits_for_an_actor_only_so_long_and_says_which(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node, "STOP_SECONDS", 0.01)
    actor = Stuck()
    actor.begin(Loop())
    node.stop_actors(cast(node.Actors, (actor,)))
    assert caplog.messages == ["Stuck does not stop within 0.01 s"]
