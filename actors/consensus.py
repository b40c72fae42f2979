"""How a node's consensus is put together: its core, its log, and its way to the other members.

`actors.node` composes the node, of which this is the part that talks to other members. Refuses to
decide anything about terms, and to know clients.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from actors.language.messages import PeerFrames, PeersDown
from actors.member_keys import Security
from actors.offline.recovery import last_time, log_directory
from actors.raft.actor import RaftActor
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.disk.files import DISK, Files
from actors.raft.disk.mark import Mark
from actors.raft.disk.shipping import Shipping
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.outcome import CoreConfig, Ending, Recovered
from actors.raft.probation import Probation
from actors.raft.seams import Links
from actors.raft.surroundings import LogRetention, Polling, Surroundings
from actors.runtime.disk import DiskWaits
from actors.runtime.mailbox import monotonic_ms
from actors.runtime.premises import clear_directory
from actors.store.machine import Machine
from cluster.config import NodeConfig
from cluster.links import PeerDoor, PeerLock
from cluster.peer_links import PeerLinks

REQUEST_TIMEOUT_MS: Final = 5_000
"""As in etcd, a request is answered within this time and two election timeouts."""

LOG_KEPT_BYTES: Final = 64 * 1024 * 1024
PROBATION_NONCE_BITS: Final = 62


class Outside(NamedTuple):
    """The ways to the disk and to the other members; a test puts itself in between."""

    files: Files = DISK
    open_door: Callable[
        [zmq.Context[zmq.Socket[bytes]], tuple[str, ...], PeerLock | None], PeerDoor
    ] = PeerDoor
    open_links: Callable[[zmq.Context[zmq.Socket[bytes]], Callable[[], None]], PeerLinks] = (
        PeerLinks
    )


AS_IT_IS: Final = Outside()


class OnDisk(NamedTuple):
    """What a node has found on its disk."""

    wal: Wal
    contents: Contents
    machine: Machine


def make_raft(
    config: NodeConfig,
    context: zmq.Context[zmq.Socket[bytes]],
    outside: Outside,
    security: Security,
    on_disk: OnDisk,
    end: Callable[[Ending], None],
) -> RaftActor:
    """The RaftActor of a node, which calls `end` when its member must stop.

    Raises StorageError when the member's keys do not fit its log.
    """
    wal, contents, _ = on_disk
    codec = PeerCodec(contents.identity.cluster_id)
    wal.use_encoder(codec.entries)
    mark = Mark(log_directory(config), outside.files)
    core = _make_core(config, on_disk, mark)
    guard = security.peer_guard(contents.identity.member_id, core.roster.latest)

    def open_links(mailbox: Polling) -> Links:
        lock = None if guard is None else guard.lock(mailbox)
        door = outside.open_door(context, config.listen_peer_urls, lock)
        links = outside.open_links(context, mailbox.refresh)
        if guard is not None:
            guard.opened(door, links)
        mailbox.attach(door, PeerFrames)
        mailbox.attach(links, PeersDown)
        return links

    directory = config.data_dir / "snapshots"
    clear_directory(directory)
    asked = [url for peer in config.peers for url in peer.peer_urls]
    return RaftActor(
        core,
        wal,
        DiskWaits("log sync"),
        mark,
        codec,
        Shipping(core, wal, directory, outside.files, secrets.randbits),
        LogRetention(config.snapshot_catchup_entries, LOG_KEPT_BYTES),
        Surroundings(
            open_links,
            config.peer_urls,
            asked,
            secrets.randbits,
            end,
            time.monotonic_ns,
            _names(config, contents.identity),
            None if guard is None else guard.source,
        ),
        monotonic_ms,
    )


def _make_core(config: NodeConfig, on_disk: OnDisk, mark: Mark) -> RaftCore:
    _, contents, machine = on_disk
    probation = Probation(random.getrandbits(PROBATION_NONCE_BITS)) if mark.stands() else None
    recovered = Recovered(
        contents.hard_state,
        contents.log,
        contents.membership,
        machine.applied_index,
        last_time(contents, machine),
        probation,
    )
    chance = random.Random().randrange
    return RaftCore(_core_config(config, contents.identity), recovered, monotonic_ms(), chance)


def _core_config(config: NodeConfig, identity: Identity) -> CoreConfig:
    heartbeat_ms, election_ms = config.heartbeat_interval_ms, config.election_timeout_ms
    return CoreConfig(identity.member_id, heartbeat_ms, election_ms, request_timeout_ms(config))


def _names(config: NodeConfig, identity: Identity) -> dict[int, str]:
    """What the flags call the members; the ids of those that were added later are not in them."""
    founders = {member.id: member.name for member in config.members if member.id}
    return {**founders, identity.member_id: config.name}


def request_timeout_ms(config: NodeConfig) -> int:
    """The time within which a request is answered."""
    return REQUEST_TIMEOUT_MS + 2 * config.election_timeout_ms
