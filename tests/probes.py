"""Stand-ins for an actor's neighbours: they only write down what they are told."""

from __future__ import annotations

from typing import Any

from actors.runtime.base import Ring


class Probe:
    """An address that keeps its messages."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def tell(self, message: Any) -> None:
        self.messages.append(message)

    def take(self) -> list[Any]:
        """The messages since the last call."""
        messages, self.messages = self.messages, []
        return messages


class ProbeRing:
    """Five probes, and the ring of their addresses."""

    def __init__(self) -> None:
        self.gateway = Probe()
        self.raft = Probe()
        self.store = Probe()
        self.lease = Probe()
        self.watch = Probe()
        self.ring = Ring(self.gateway, self.raft, self.store, self.lease, self.watch)


class ManualClock:
    """Milliseconds that pass only when a test says so."""

    def __init__(self, now_ms: int = 1_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, milliseconds: int) -> int:
        self.now_ms += milliseconds
        return self.now_ms
