"""Which frames the core hears of, what is complained about, and what goes on to the caller."""

from __future__ import annotations

from typing import Any

from actors.raft.admission import Admission
from actors.raft.callers import Callers, Complaint
from actors.raft.core import RaftCore
from actors.raft.keyring import Keyring
from actors.raft.names import Names
from actors.raft.rpc import AppendRequest, Heartbeat, JoinRequest, SnapshotAck, SnapshotChunk
from tests.raft.harness import START_MS, Addressed, entries
from tests.raft.test_neighbours import STRANGE, Street
from tests.raft.test_raft_actor import CODEC

BEAT = Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True)
CHUNK = SnapshotChunk(2, 1, 3, 3, 9, 50, 3, 1, 0, 0, b"x")


class Line:
    """Member 1 of three, and what its callers say."""

    def __init__(
        self, part_refusal: str = "", core: RaftCore | None = None, keyring: Keyring | None = None
    ) -> None:
        self.street = Street(core)
        self.core = core = self.street.core
        admission = Admission(core)
        self.callers = Callers(
            core,
            CODEC,
            admission,
            self.street.neighbours,
            Names({2: "n2"}),
            lambda part: part_refusal,
            keyring,
        )

    def hear(self, *messages: Any) -> list[Any]:
        frames = [each if isinstance(each, bytes) else CODEC.encode(each) for each in messages]
        return list(self.callers.hear(frames, START_MS))


def test_what_may_be_believed_reaches_the_core() -> None:
    line = Line()
    assert line.hear(BEAT) == []
    assert (line.core.leader, line.core.term) == (2, 3)


def test_a_stranger_is_ignored_named_and_asked_about() -> None:
    line = Line()
    (complaint,) = line.hear(BEAT._replace(source=STRANGE))
    assert isinstance(complaint, Complaint)
    assert complaint.text.startswith(f"ignored a Heartbeat of member {STRANGE:x}: ")
    assert line.core.leader == 0
    assert any(isinstance(each, JoinRequest) for _, each in line.street.wires.sent)


def test_what_is_no_message_is_ignored_with_where_it_came_from() -> None:
    line = Line()
    (complaint, other) = line.hear(Addressed(b"nonsense"), b"nonsense")
    assert complaint.text.startswith("ignored a peer message from 10.0.0.9: ")
    assert other.text.startswith("ignored a peer message: ")
    assert complaint.kind == other.kind, "they are said together"


def test_parts_of_snapshots_go_on_at_their_place_among_the_messages() -> None:
    line = Line()
    hearing = line.callers.hear([CODEC.encode(each) for each in (BEAT, CHUNK, APPEND)], START_MS)
    assert next(hearing) == CHUNK
    assert line.core.replica.log.last_index == 0, "what comes behind it is not heard yet"
    assert list(hearing) == []
    assert line.core.replica.log.last_index == 1


def test_a_part_that_must_not_be_taken_is_not_passed_on() -> None:
    line = Line(part_refusal="it is no use")
    line.hear(BEAT)
    refused = line.hear(CHUNK, SnapshotAck(2, 1, 3, 9, 1))
    assert [each.kind for each in refused] == ["it is no use", "it is no use"]


APPEND = AppendRequest(2, 1, 3, 3, 0, 0, 0, entries(1, 3))
