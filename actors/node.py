"""One node, from its configuration to its exit status: storage, engines, actors, signals.

The only place that sees everything. It opens what can fail before any actor runs, makes the five
actors, joins them to the ring, and stops them in reverse. It decides nothing about keys or terms.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

import zmq

from actors.base import NodeActor, Ring
from actors.gateway.actor import GatewayActor, GatewaySettings
from actors.lease.actor import LeaseActor
from actors.lease.book import LeaseBook
from actors.mailbox import Mailbox, monotonic_ms
from actors.messages import PeerFrames, PeersDown
from actors.raft.actor import Links, RaftActor
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig, Recovered
from actors.raft.quorum import Configuration
from actors.raft.rpc import HardState
from actors.raft.wal import Contents, Identity, Wal
from actors.raft.wal_records import StorageError
from actors.store.actor import StoreActor
from actors.store.backend import LmdbBackend
from actors.store.commands import Member
from actors.store.machine import Machine
from actors.watch.actor import WatchActor
from cluster import __version__
from cluster.config import NodeConfig
from cluster.links import ClientDoor, PeerDoor, PeerLinks

REQUEST_TIMEOUT_MS: Final = 5_000
"""As in etcd, a request is answered within this time and two election timeouts."""

NO_LEADER_ELECTIONS: Final = 3
"""A node without a leader for so many election timeouts ends its watches."""

STOP_SECONDS: Final = 5.0
SWITCH_INTERVAL_SECONDS: Final = 0.001
GC_THRESHOLDS: Final = (50_000, 50, 1_000)

EXIT_BAD_STORAGE: Final = 1

log = logging.getLogger("leasehold")


class Actors(NamedTuple):
    """The five, in the order in which they start."""

    watch: WatchActor
    lease: LeaseActor
    store: StoreActor
    raft: RaftActor
    gateway: GatewayActor


def run_node(config: NodeConfig) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a graceful stop, else a line on stderr and not 0."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        lock = _lock(config.data_dir)
        _try_to_listen((*config.listen_client_urls, *config.listen_peer_urls))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        if config.uses_ipv6:
            context.setsockopt(zmq.IPV6, 1)
        actors = make_actors(config, context)
    except (StorageError, OSError) as error:
        sys.stderr.write(f"leasehold: {error}\n")
        return EXIT_BAD_STORAGE
    _tune_interpreter()
    for actor in actors:
        actor.begin()
    log.info("%s (%x) serves clients on %s", config.name, config.member_id, _clients(config))
    stopping.wait()
    log.info("%s is stopping", config.name)
    stop_actors(actors)
    context.destroy(linger=0)
    os.close(lock)
    return 0


def make_actors(config: NodeConfig, context: zmq.Context[zmq.Socket[bytes]]) -> Actors:
    """Open the storage and make the five actors, joined to one ring but not started."""
    identity = Identity(config.member_id, config.cluster_id)
    directory = config.data_dir / "wal"
    fresh = not Wal.exists(directory)
    if fresh:
        wal = Wal.create(directory, identity)
        contents = Contents(identity, HardState(0, 0, 0), RaftLog())
    else:
        wal, contents = Wal.open(directory)
    _check_identity(config, contents.identity)
    members = [Member(m.id, "", m.peer_urls, (), False) for m in config.members]
    backend = LmdbBackend(config.data_dir / "store")
    machine = Machine(backend, members)
    _check_applied(config, machine.applied_index, contents.log)
    actors = Actors(
        watch=WatchActor(
            config.cluster_id,
            config.member_id,
            NO_LEADER_ELECTIONS * config.election_timeout_ms,
            monotonic_ms,
        ),
        lease=LeaseActor(LeaseBook(), monotonic_ms),
        store=StoreActor(machine, backend, config.member_id, monotonic_ms),
        raft=_make_raft(config, context, wal, contents, machine),
        gateway=_make_gateway(config, context),
    )
    ring = Ring(**{name: actor.actor_ref for name, actor in actors._asdict().items()})
    for actor in actors:
        actor.join(ring)
    return actors


def stop_actors(actors: Actors) -> None:
    """Stop in reverse: first no new requests, last those that consume what the others say."""
    for actor in reversed(actors):
        _stop(actor)


def _stop(actor: NodeActor) -> None:
    if actor.actor_ref.is_alive():
        actor.actor_ref.stop(block=True, timeout=STOP_SECONDS)


def _make_raft(
    config: NodeConfig,
    context: zmq.Context[zmq.Socket[bytes]],
    wal: Wal,
    contents: Contents,
    machine: Machine,
) -> RaftActor:
    codec = PeerCodec(config.cluster_id)
    wal.use_encoder(codec.entries)
    core = RaftCore(
        CoreConfig(
            member_id=config.member_id,
            configuration=Configuration(frozenset(member.id for member in config.members)),
            heartbeat_ms=config.heartbeat_interval_ms,
            election_timeout_ms=config.election_timeout_ms,
            hold_ms=_request_timeout_ms(config),
        ),
        Recovered(
            contents.hard_state, contents.log, machine.applied_index, _last_time(contents, machine)
        ),
        monotonic_ms(),
        random.Random().randrange,
    )

    def open_links(mailbox: Mailbox) -> Links:
        door = PeerDoor(context, config.listen_peer_urls)
        links = PeerLinks(context)
        for peer in config.peers:
            links.connect(peer.id, peer.peer_urls[0])
        mailbox.attach(door, PeerFrames)
        mailbox.attach(links, PeersDown)
        return links

    return RaftActor(core, wal, codec, open_links, monotonic_ms)


def _make_gateway(config: NodeConfig, context: zmq.Context[zmq.Socket[bytes]]) -> GatewayActor:
    settings = GatewaySettings(
        cluster_id=config.cluster_id,
        member_id=config.member_id,
        version=__version__,
        request_bytes_max=config.max_request_bytes,
        lease_ttl_ms_min=config.min_lease_ttl_ms,
        request_timeout_ms=_request_timeout_ms(config),
        # Entries of an earlier run of this node must not answer requests of this one.
        first_ticket=random.getrandbits(31) << 32 | 1,
        name=config.name,
        advertised_urls=config.advertise_client_urls,
    )
    return GatewayActor(
        settings,
        lambda: ClientDoor(context, config.listen_client_urls),
        monotonic_ms,
        time.time_ns() // 1_000_000,
    )


def _request_timeout_ms(config: NodeConfig) -> int:
    return REQUEST_TIMEOUT_MS + 2 * config.election_timeout_ms


def _last_time(contents: Contents, machine: Machine) -> int:
    """The greatest cluster time this node has seen: it must not go back."""
    last_index = contents.log.last_index
    if last_index < contents.log.first_index:
        return machine.cluster_ms
    (last,) = contents.log.slice(last_index, last_index + 1, bytes_max=0)
    return max(machine.cluster_ms, last.time_ms)


# --- what can fail at the start ---------------------------------------------------------------


def _lock(data_dir: Path) -> int:
    """Take the data directory for this process; the lock ends with it, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "another process"
        os.close(file)
        raise OSError(f"data directory {data_dir} is in use by {owner}") from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"pid {os.getpid()}".encode(), 0)
    return file


def _try_to_listen(urls: tuple[str, ...]) -> None:
    """Fail now, in words, rather than inside an actor that has already started."""
    for url in urls:
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("" if host == "*" else host, int(port)))
            except OSError as error:
                raise OSError(f"cannot listen on {url}: {error.strerror}") from None


def _check_identity(config: NodeConfig, found: Identity) -> None:
    if found != (config.member_id, config.cluster_id):
        raise StorageError(
            f"{config.data_dir} belongs to member {found.member_id:x} of cluster "
            f"{found.cluster_id:x}, but the flags describe member {config.member_id:x} of cluster "
            f"{config.cluster_id:x}: use the same --initial-cluster and --initial-cluster-token as "
            "before, or an empty --data-dir"
        )


def _check_applied(config: NodeConfig, applied_index: int, raft_log: RaftLog) -> None:
    if applied_index > raft_log.last_index:
        raise StorageError(
            f"{config.data_dir}: the store has applied entry {applied_index}, but the log ends at "
            f"{raft_log.last_index}: part of the log is gone. Remove this member from the cluster "
            "and let it rejoin as a new member with an empty data directory"
        )


def _tune_interpreter() -> None:
    # Five threads hand work to each other: the default of 5 ms would show in every latency.
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    # What was loaded lives as long as the node; collecting it again and again only pauses it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _clients(config: NodeConfig) -> str:
    return ", ".join(config.listen_client_urls)
