"""After a crash in the middle of a snapshot log and store agree again, or the start is refused."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest
import zmq

from actors.language.commands import SetMembers
from actors.language.errors import StorageError
from actors.language.members import Peer
from actors.offline.recovery import open_log, reconcile
from actors.raft.codec import PeerCodec
from actors.raft.disk.files import DISK
from actors.raft.disk.wal import SEGMENT_BYTES, Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import LogStart
from actors.raft.membership import UNKNOWN_MEMBERS, encode
from actors.raft.rpc import HardState, JoinRequest, Welcome
from actors.store.machine import Machine
from cluster.config import NodeConfig
from cluster.links import PeerDoor
from cluster.peer_links import PeerLinks
from tests.raft.harness import entries, voters
from tests.simulation.disk import SimulatedDisk
from tests.twins import MemoryBackend

DIRECTORY = Path("/wal")
START = LogStart(0, 0, voters(3))


class Config:
    """As much of a configuration as is needed."""

    data_dir = Path("/data")


def store_at(index: int, term: int) -> Machine:
    """A store that has applied entries up to there."""
    machine = Machine(MemoryBackend(), ())
    for each in range(1, index):
        machine.skip(each, term, each)
    machine.apply(index, term, index, SetMembers((), encode(voters(4))), None)
    return machine


def crashed(*terms: int, expected: tuple[int, int]) -> tuple[Wal, Contents]:
    """A log of these terms, after a crash at any time since that snapshot was to be installed.

    Its term came with the snapshot.
    """
    disk = SimulatedDisk()
    wal, _ = Wal.create(DIRECTORY, Identity(1, 7), voters(3), SEGMENT_BYTES, disk)
    wal.save(HardState(terms[-1], 0, 2), entries(1, *terms), START)
    noted = HardState(expected[1], 0, 2)
    wal.expect_snapshot(noted, expected, LogStart(len(terms), terms[-1], voters(3)))
    return Wal.open(DIRECTORY, SEGMENT_BYTES, disk)


def reconciled(wal: Wal, contents: Contents, machine: Machine) -> Contents:
    config: Any = Config()
    return reconcile(cast(NodeConfig, config), wal, contents, machine)


def test_a_log_that_the_store_is_in_stays_as_it_is() -> None:
    wal, contents = crashed(1, 1, 2, 2, 2, expected=(4, 2))
    assert reconciled(wal, contents, store_at(4, 2)) is contents


@pytest.mark.parametrize("terms", [(1, 1), (1, 1, 2, 2, 2)], ids=["shorter", "other"])
def test_a_log_that_an_installed_snapshot_replaces_begins_anew_after_it(
    terms: tuple[int, ...],
) -> None:
    wal, contents = crashed(*terms, expected=(4, 3))
    after = reconciled(wal, contents, store_at(4, 3))
    assert (after.log.first_index, after.log.last_index, after.log.last_term) == (5, 4, 3)
    assert after.hard_state == HardState(3, 0, 4)
    assert after.membership == voters(4)


@pytest.mark.parametrize("place", [(4, 3), (9, 2)])
def test_a_store_that_is_elsewhere_without_a_reason_is_refused(place: tuple[int, int]) -> None:
    wal, contents = crashed(1, 1, 2, 2, 2, expected=(7, 2))
    with pytest.raises(StorageError, match="part of the log is gone"):
        reconciled(wal, contents, store_at(*place))


class Member(threading.Thread):
    """A member of a cluster that takes whoever asks for the one with this id."""

    def __init__(self, directory: Path, member_id: int) -> None:
        super().__init__(daemon=True)
        self.is_answered = threading.Event()
        self.url, self.newcomer_url = f"ipc://{directory}/a", f"ipc://{directory}/b"
        self._member_id = member_id
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._door = PeerDoor(self._context, (self.url,))

    def run(self) -> None:
        links = PeerLinks(self._context)
        links.update({1: self.newcomer_url})
        while not self.is_answered.is_set():
            self._door.wait(50)
            for frame in self._door.drain(10):
                request = PeerCodec(7).decode(frame)
                assert isinstance(request, JoinRequest)
                welcome = Welcome(1, self._member_id, 7, request.nonce, encode(voters(1)))
                links.send(1, PeerCodec(7).encode_welcome(welcome))
        links.close()
        self._door.close()
        self._context.term()


@pytest.mark.parametrize("welcomed_as", [5, 6])
def test_a_member_that_was_told_nothing_yet_asks_again_whether_it_is_one(
    tmp_path: Path, welcomed_as: int
) -> None:
    Wal.create(tmp_path / "wal", Identity(5, 7), UNKNOWN_MEMBERS)[0].close()
    member = Member(tmp_path, welcomed_as)
    member.start()
    config: Any = Config()
    config.data_dir, config.member_id, config.members = tmp_path, 0, ()
    config.peer_urls = config.listen_peer_urls = (member.newcomer_url,)
    config.peers = (Peer(1, (member.url,)),)
    try:
        if welcomed_as == 5:
            wal, contents = open_log(config, DISK)
            assert (contents.identity, contents.membership) == (Identity(5, 7), UNKNOWN_MEMBERS)
            wal.close()
        else:
            with pytest.raises(StorageError, match="the member at these URLs is 6"):
                open_log(config, DISK)
    finally:
        member.is_answered.set()
