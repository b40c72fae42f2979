"""A gateway actor, unstarted, between a door that a test opens and neighbours that only listen."""

from __future__ import annotations

from typing import Any

from actors.gateway.actor import GatewayActor
from actors.gateway.intake import GatewaySettings
from actors.gateway.openings import RandomBits
from actors.gateway.trail import AuditLog
from actors.language.entries import Proposal
from actors.language.messages import ClientFrames, Connection, Propose, Read, Replies
from actors.language.queries import Permit
from actors.language.results import Done
from actors.runtime.system import System
from cluster.wire import pack
from tests.gateway.fake_door import FakeDoor
from tests.probes import ManualClock, ProbeRing
from tests.twins import AtOnce

ONE = (b"\0one",)
TWO = (b"\0two",)
REQ = (b"\0req", b"")
TIMEOUT_MS = 5_000
WALL_MS = 7
RESIDENT_BYTES = 11
PUBLISH_TICKET = 700
FIRST_TICKET = PUBLISH_TICKET + 1

SETTINGS = GatewaySettings(
    cluster_id=11,
    member_id=22,
    version="1.2.3",
    request_bytes_max=1_000,
    lease_ttl_ms_min=450,
    request_timeout_ms=TIMEOUT_MS,
    first_ticket=PUBLISH_TICKET,
    name="n1",
    advertised_urls=("tcp://127.0.0.1:2379",),
    password_cost_log2=1,
)


class Bench:
    """A gateway whose neighbours only listen; `published`: the log has its name already."""

    def __init__(
        self,
        settings: GatewaySettings = SETTINGS,
        published: bool = True,
        random_bits: RandomBits = lambda bits: bits,
        audit_log: AuditLog | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.probes = ProbeRing()
        self.door = FakeDoor()
        self.actor = GatewayActor(
            settings,
            lambda: self.door,
            self.clock,
            System(lambda: WALL_MS, lambda: RESIDENT_BYTES),
            random_bits=random_bits,
            beside=AtOnce(),
            audit_log=audit_log,
        )
        self.actor.join(self.probes.ring)
        self.actor.open()
        if published:
            self.wait(0)
            self.actor.receive(Replies(((PUBLISH_TICKET, Done(1)),)))
            self.probes.raft.take()

    def ask(self, connection: Connection = ONE, **request: Any) -> None:
        """A request arrives."""
        self.actor.receive(ClientFrames(((connection, pack(request)),)))

    def allow(self) -> None:
        """The store allows all that it was asked for, before Raft was told of it."""
        for read in self.probes.raft.take():
            assert isinstance(read, Read)
            for ticket, query, _ in read.questions:
                assert isinstance(query, Permit)
                self.actor.receive(Replies(((ticket, Done(1)),)))

    def wait(self, milliseconds: int) -> None:
        """Let time pass, with every tick that the actor asked for."""
        end_ms = self.clock.now_ms + milliseconds
        while (wake_ms := self.actor.mailbox.next_wake_ms) is not None and wake_ms <= end_ms:
            self.clock.now_ms = max(wake_ms, self.clock.now_ms)
            tick = self.actor.mailbox.pop_tick(self.clock.now_ms)
            assert tick is not None
            self.actor.receive(tick)
        self.clock.now_ms = end_ms

    def proposed(self) -> list[Proposal]:
        """What Raft was asked to put in the log since the last call."""
        messages = self.probes.raft.take()
        assert all(isinstance(message, Propose) for message in messages)
        return [proposal for message in messages for proposal in message.proposals]

    def errors(self, connection: Connection = ONE) -> list[dict[str, Any]]:
        """The errors that a client was sent since the last call."""
        return [reply["error"] for reply in self.door.replies(connection)]
