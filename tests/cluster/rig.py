"""A rig for the client's core: endpoints, a clock, and answers. No socket, no thread."""

from __future__ import annotations

from typing import Any

from cluster import wire
from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.login import Account
from cluster.faults import FAULTS, FaultName

HEADER = {"cluster_id": 7, "member_id": 1, "revision": 8, "raft_term": 2}


class Rig:
    """A core and its surroundings: what it sent, and answers to that."""

    def __init__(
        self,
        *names: str,
        up: bool = True,
        exactly_once: bool = True,
        credentials: Account | None = None,
    ) -> None:
        self.now = 100.0
        options = CallOptions(5.0, exactly_once, credentials)
        self.core = Core(names or ("a", "b", "c"), options, lambda: 0.5)
        if up:
            for name in self.core.endpoints.names:
                self.core.endpoint_up(name, self.now)

    def call(self, op: str = "range", timeout: float = 5.0, **options: Any) -> Call:
        call = Call({"op": op, "key": b"k"}, timeout, **options)
        self.core.calls.begin(call, self.now)
        return call

    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        frames = [(name, wire.unpack(frame)) for name, frame in self.core.sends]
        self.core.sends.clear()
        return frames

    def one(self) -> tuple[str, dict[str, Any]]:
        (frame,) = self.sent()
        return frame

    def answer(self, frame: tuple[str, dict[str, Any]], **fields: Any) -> None:
        endpoint, request = frame
        self.core.reply(endpoint, {"id": request["id"], "header": HEADER, **fields}, self.now)

    def refuse(self, frame: tuple[str, dict[str, Any]], name: FaultName) -> None:
        endpoint, request = frame
        code, message = FAULTS[name]
        error = {"code": code, "message": message}
        self.core.reply(endpoint, {"id": request["id"], "error": error}, self.now)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.core.wake_at <= end:
            self.now = max(self.now, self.core.wake_at)
            self.core.tick(self.now)
        self.now = end

    def open_session(self, session: int = 5) -> None:
        name, request = self.one()
        assert request["op"] == "session_open"
        self.answer((name, request), session=session)

    def write(self, **options: Any) -> Call:
        """A put whose session is open, with its first attempt sent."""
        call = self.call("put", write=True, **options)
        if self.core.sends and wire.unpack(self.core.sends[0][1])["op"] == "session_open":
            self.open_session()
        return call
