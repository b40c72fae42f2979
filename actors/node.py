"""One node, from its configuration to its exit status: storage, engines, actors, signals.

This is the only module that sees all rooms. It opens everything that can fail before any actor
runs, makes the five actors, joins them to the ring, and stops them in reverse order. Refuses to
decide anything about keys or terms.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import sys
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

import pykka
import zmq

from actors.consensus import AS_IT_IS, OnDisk, Outside, make_raft, request_timeout_ms
from actors.front import FRONT_DOOR, FrontProcess, front_of
from actors.gateway.actor import GatewayActor
from actors.gateway.audit_table import Level
from actors.gateway.intake import GatewaySettings
from actors.language.errors import StorageError, described
from actors.language.messages import HandOver
from actors.lease.actor import LeaseActor
from actors.lease.book import LeaseBook
from actors.member_keys import Security, find_keys, with_own_key
from actors.offline.auth_commands import take_mark
from actors.offline.joining import JoinError
from actors.offline.recovery import open_log, reconcile, why_it_ends
from actors.raft.actor import RaftActor
from actors.raft.disk.wal_reader import Identity
from actors.raft.outcome import Ending, Removed
from actors.runtime.audit_file import AuditFile
from actors.runtime.base import NodeActor, Ring
from actors.runtime.beside import Beside
from actors.runtime.disk import DiskWaits
from actors.runtime.interpreter import tune_interpreter
from actors.runtime.loop import Loop
from actors.runtime.mailbox import monotonic_ms
from actors.runtime.premises import (
    clear_directory,
    require_descriptors,
    take_directory,
    try_to_listen,
)
from actors.runtime.signals import stop_at_signals
from actors.runtime.system import THIS_SYSTEM
from actors.store.actor import StoreActor
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.spool import SpoolDirectory
from actors.store.machine import Machine
from actors.store.retention import HistoryRetention, KeepPeriod, KeepRevisions
from actors.store.upkeep import UpkeepSettings
from actors.watch.actor import WatchActor
from cluster import __version__
from cluster.config import NodeConfig
from cluster.door import ClientDoor
from cluster.logs import last_line, say_counts, say_rest, tell
from cluster.repeats import EVERY_MS

NO_LEADER_ELECTIONS: Final = 3
"""A node that hears no leader for this number of election timeouts ends its watches."""

STOP_SECONDS: Final = 5.0
"""How long to wait for one actor to stop."""

EXIT_BAD_STORAGE: Final = 1
EXIT_REMOVED: Final = 3

log = logging.getLogger("leasehold")


class _End(NamedTuple):
    """The exit status of a node that must stop, and the reason."""

    status: int
    reason: str


class Actors(NamedTuple):
    """The five actors, in the order in which they start: consumers before those that feed them."""

    watch: WatchActor
    lease: LeaseActor
    store: StoreActor
    raft: RaftActor
    gateway: GatewayActor


def run_node(config: NodeConfig, outside: Outside = AS_IT_IS) -> int:
    """Serve until a signal stops the node; returns the exit status.

    It is 0 after a graceful stop. Otherwise a line on stderr has the reason.
    """
    stopping = stop_at_signals()
    endings: list[_End] = []

    def on_ending(end: _End) -> None:
        endings.append(end)
        stopping.set()

    try:
        # Everything that can fail comes before an actor starts, and is told in one line. The lock
        # comes before anything is written to the directory.
        require_descriptors(len(config.members))
        lock = take_directory(config.data_dir)
        try_to_listen((*config.zeromq_urls, *config.listen_peer_urls))
        front = front_of(config)
        keys = find_keys(config)
        config = with_own_key(config, keys)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        if config.uses_ipv6:
            context.setsockopt(zmq.IPV6, 1)
        security = Security(context, config, keys)
        tune_interpreter()
        actors = make_actors(config, context, on_ending, outside, security, front)
    except (StorageError, JoinError, OSError) as error:
        reason = described(error) if isinstance(error, OSError) else str(error)
        sys.stderr.write(last_line("leasehold", config.name, reason, config.log_format))
        return EXIT_BAD_STORAGE
    _tell_started(config, actors)
    # Only now, when all five know each other: the first one may be told something at once.
    loop = Loop()
    for actor in reversed(actors):
        actor.begin(loop)
    loop.start()
    if front is not None:
        front.start()
    while not stopping.wait(EVERY_MS / 1_000):
        say_counts()
    why = endings[0].reason if endings else stopping.reason
    tell("stopping", f"stops: {why}", why=why)
    # A member that must stop is removed, or wrong: it leads no more.
    if not endings:
        hand_over(actors.raft, config.election_timeout_ms / 1_000)
    if front is not None:
        front.drain()
    stop_actors(actors)
    loop.join(STOP_SECONDS)
    security.close()
    context.destroy(linger=0)
    if front is not None:
        front.stop()
    os.close(lock)
    say_rest()
    for end in endings:
        sys.stderr.write(last_line("leasehold", config.name, end.reason, config.log_format))
        return end.status
    return 0


def make_actors(
    config: NodeConfig,
    context: zmq.Context[zmq.Socket[bytes]],
    on_ending: Callable[[_End], None],
    outside: Outside,
    security: Security,
    front: FrontProcess | None,
) -> Actors:
    """Open the storage and make the five actors, joined to one ring but not started."""
    wal, contents = open_log(config, outside.files, security.held)
    identity = contents.identity
    backend = LmdbBackend(config.data_dir / "store")
    machine = Machine(backend, members=())
    contents = reconcile(config, wal, contents, machine)
    spool = config.data_dir / "spool"
    clear_directory(spool)
    end = _ender(config, identity.member_id, on_ending)
    actors = Actors(
        watch=WatchActor(
            identity.cluster_id,
            identity.member_id,
            NO_LEADER_ELECTIONS * config.election_timeout_ms,
            monotonic_ms,
            progress_interval_ms=config.watch_progress_ms,
            request_bytes_max=config.max_request_bytes,
        ),
        lease=LeaseActor(LeaseBook(), monotonic_ms),
        store=StoreActor(
            machine,
            backend,
            DiskWaits("store commit"),
            identity.member_id,
            monotonic_ms,
            _history_retention(config),
            UpkeepSettings(
                config.quota_backend_bytes,
                SpoolDirectory(spool),
                config.corrupt_check_ms,
            ),
        ),
        raft=make_raft(config, context, outside, security, OnDisk(wal, contents, machine), end),
        gateway=_make_gateway(config, context, identity, security, front),
    )
    ring = Ring(**{name: actor.mailbox for name, actor in actors._asdict().items()})
    for actor in actors:
        actor.join(ring)
    return actors


def _ender(
    config: NodeConfig, member_id: int, on_ending: Callable[[_End], None]
) -> Callable[[Ending], None]:
    """What is called when this member must not run any more."""

    def end(ending: Ending) -> None:
        status = EXIT_REMOVED if isinstance(ending, Removed) else EXIT_BAD_STORAGE
        on_ending(_End(status, why_it_ends(config, member_id, ending)))

    return end


def _history_retention(config: NodeConfig) -> HistoryRetention | None:
    if config.retained_revisions:
        return KeepRevisions(config.retained_revisions)
    if config.retained_period_ms:
        return KeepPeriod(config.retained_period_ms)
    return None


def hand_over(raft: RaftActor, timeout_seconds: float) -> None:
    """Let another member lead before this one stops.

    If that fails, or takes longer, the others elect a leader after their timeout.
    """
    done = threading.Event()
    raft.mailbox.tell(HandOver(done.set))
    done.wait(timeout_seconds)


def stop_actors(actors: Actors) -> None:
    """Stop in reverse order: first the gateway, so that no requests come, last the consumers."""
    for actor in reversed(actors):
        _stop(actor)


def _stop(actor: NodeActor) -> None:
    if actor.actor_ref.is_alive():
        try:
            actor.actor_ref.stop(block=True, timeout=STOP_SECONDS)
        except pykka.Timeout:
            # The process ends without it, as in a crash: the disk has all that was acknowledged.
            log.warning("%s does not stop within %g s", type(actor).__name__, STOP_SECONDS)


def _make_gateway(
    config: NodeConfig,
    context: zmq.Context[zmq.Socket[bytes]],
    identity: Identity,
    security: Security,
    front: FrontProcess | None,
) -> GatewayActor:
    settings = GatewaySettings(
        cluster_id=identity.cluster_id,
        member_id=identity.member_id,
        version=__version__,
        request_bytes_max=config.max_request_bytes,
        txn_ops_max=config.max_txn_ops,
        lease_ttl_ms_min=config.min_lease_ttl_ms,
        request_timeout_ms=request_timeout_ms(config),
        # Tickets begin at a random number: entries from an earlier run of this node, applied again,
        # must not answer requests of this run.
        first_ticket=random.getrandbits(31) << 32 | 1,
        name=config.name,
        advertised_urls=config.advertise_client_urls,
        quota_bytes=config.quota_backend_bytes,
        token_ttl_seconds=config.token_ttl_seconds,
        password_cost_log2=config.password_cost_log2,
        front_secret=b"" if front is None else front.secret,
        resets_auth=_resets_auth(config),
        audit_level=Level.AUTH if config.audit is None else Level[config.audit.level.upper()],
    )
    return GatewayActor(
        settings,
        lambda: _open_door(config, context, identity, security, front),
        monotonic_ms,
        THIS_SYSTEM,
        secrets.randbits,
        Beside("passwords"),
        _audit_file(config),
    )


def _audit_file(config: NodeConfig) -> AuditFile | None:
    if config.audit is None:
        return None
    path, _, bytes_max, kept = config.audit
    return AuditFile(path, bytes_max, kept, config.name)


def _resets_auth(config: NodeConfig) -> bool:
    asked = take_mark(config.data_dir)
    if asked:
        log.warning("switches authentication off, as `leasehold auth reset` has asked here")
    return asked


def _open_door(
    config: NodeConfig,
    context: zmq.Context[zmq.Socket[bytes]],
    identity: Identity,
    security: Security,
    front: FrontProcess | None,
) -> ClientDoor:
    """The door for clients; a front gets to it by a port of loopback, which it is told here.

    Where clients need keys, there are two such ports: the front passes the bytes of clients to one,
    and speaks at the other itself.
    """
    urls = config.zeromq_urls if front is None else (*config.zeromq_urls, FRONT_DOOR)
    lock, own_url = security.client_lock(), "" if front is None else FRONT_DOOR
    door = ClientDoor(context, urls, monotonic_ms, config.max_request_bytes, lock, own_url)
    security.client_door = door
    if front is not None:
        door.passages = front.passages
        password = "" if lock is None else lock.password
        front.serve(identity, *door.front_ports, password)
    return door


def _tell_started(config: NodeConfig, actors: Actors) -> None:
    """Say what this process is, and what its disk has given it."""
    machine, core, flags = actors.store.machine, actors.raft.core, config.changed_flags
    log_index = core.replica.log.last_index
    tell(
        "started",
        f"leasehold {__version__} runs as process {os.getpid()}, with "
        f"{' '.join(flags) or 'no flags'}: recovered revision {machine.revision} at index "
        f"{machine.applied_index}, the log up to index {log_index}, and term {core.term}",
        version=__version__,
        pid=os.getpid(),
        flags=flags,
        revision=machine.revision,
        index=machine.applied_index,
        log_index=log_index,
        term=core.term,
    )
