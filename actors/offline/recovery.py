"""What a node finds on its disk when it starts, and whether its parts fit together.

The log is opened, or begun: for a founder with the first members, for a member that joins with the
identity that a running cluster gives it. After a crash in the middle of a snapshot, log and store
are made to agree. Starts nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.language.members import Peer
from actors.offline.joining import JoinKeys, ask_to_join
from actors.raft.disk.files import Files
from actors.raft.disk.mark import Mark
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import FIRST_TERM, LogStart, RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, encode, first_membership, read
from actors.raft.outcome import Contradicted, Ending, Removed, WasHere
from actors.store.machine import Machine
from cluster.config import NodeConfig
from cluster.curve import HeldKeys
from cluster.identity import InitialMember
from cluster.schemes import places

JOIN_SECONDS: Final = 30.0


def open_log(
    config: NodeConfig, files: Files, keys: HeldKeys | None = None
) -> tuple[Wal, Contents]:
    """This member's log: the one on its disk, or a new one. Raises StorageError or JoinError."""
    directory = log_directory(config)
    if Wal.exists(directory, files):
        # As in etcd, the flags about the first members count only at the first start.
        wal, contents = Wal.open(directory, files=files)
        _check_flags(config, contents)
        if not config.member_id and contents.log.last_index == 0:
            # It joined, but got no entry before it stopped: it may have been removed since.
            _check_identity(config, contents.identity, _ask_who_i_am(config, keys))
        return wal, contents
    # The disk is empty, but the member may have been here before, and made promises. The mark puts
    # it on probation, and is written first: no crash may leave a log without it.
    Mark(directory, files).make()
    if config.is_joining:
        identity = _ask_who_i_am(config, keys)
        # The members that the others name may not be committed, so the log begins with none: its
        # entries will say who they are.
        return Wal.create(directory, identity, UNKNOWN_MEMBERS, files=files)
    identity = Identity(config.member_id, config.cluster_id)
    founders = first_membership(tuple(map(founder, config.members)))
    return Wal.create(directory, identity, founders, files=files, entries=first_entries(founders))


def _ask_who_i_am(config: NodeConfig, keys: HeldKeys | None) -> Identity:
    urls = [url for peer in config.peers for url in peer.peer_urls]
    mine = None
    if keys is not None and config.have_members_keys:
        mine = JoinKeys(keys.pair, trusted_keys(config))
    welcome = ask_to_join(config.listen_peer_urls, config.peer_urls, urls, JOIN_SECONDS, mine)
    if welcome.was_here:
        raise StorageError(was_here(config, welcome.member_id, welcome.client_urls))
    return Identity(welcome.member_id, welcome.cluster_id)


def founder(member: InitialMember) -> Peer:
    """A first member, as the log begins with it."""
    return Peer(member.id, member.peer_urls, (member.key,) if member.key else ())


def trusted_keys(config: NodeConfig) -> dict[str, str]:
    """The keys that the operator has given for the other members, by URL."""
    return {url: peer.key for peer in config.peers for url in peer.peer_urls if peer.key}


def log_directory(config: NodeConfig) -> Path:
    """The directory of this member's log."""
    return config.data_dir / "wal"


def was_here(config: NodeConfig, member_id: int, client_urls: tuple[str, ...]) -> str:
    """Why a member without its data does not run, in etcd's words, and what to do."""
    return (
        f"member {config.name} ({member_id:x}) has already been bootstrapped, but {config.data_dir}"
        " does not hold its data: its disk was lost or emptied. "
        f"{_replacement(config, member_id, client_urls)}"
    )


def why_it_ends(config: NodeConfig, member_id: int, ending: Ending) -> str:
    """One line for the operator of a member that must stop: why, and what to do."""
    match ending:
        case WasHere(client_urls):
            return was_here(config, member_id, client_urls)
        case Removed(successor):
            said = "the member has been permanently removed from the cluster"
            if successor:
                said += (
                    f"; member {successor:x} was added at its URLs: to start that one, use "
                    "--initial-cluster-state=existing"
                )
            return said
        case Contradicted():
            return (
                f"member {config.name} ({member_id:x}) stops: {_contradiction(ending)}. The data "
                f"in {config.data_dir} was rolled back, belongs to another member, or came from a "
                f"leader with such data. {_replacement(config, member_id, ())}"
            )


def _contradiction(ending: Contradicted) -> str:
    index, term, own_term, witness = ending
    if not term:
        return f"it acknowledged entry {index} to the leader {witness:x}, and no longer holds it"
    own = f"has one of term {own_term} there" if own_term else "does not have it"
    return f"member {witness:x} has committed entry {index} of term {term}, and this one {own}"


def _replacement(config: NodeConfig, member_id: int, client_urls: tuple[str, ...]) -> str:
    """How to let another member take this one's place; the command is last, to be pasted."""
    endpoints = f"--endpoints={','.join(client_urls)} " if client_urls else ""
    return (
        "Empty that directory, and start the member that takes its place there with what this "
        f"prints: leasectl {endpoints}member replace {member_id:x} {config.name} "
        f"--peer-urls={','.join(config.peer_urls)}"
    )


def _check_identity(config: NodeConfig, own: Identity, known: Identity) -> None:
    """The others may have removed this member, and added another at the same URLs."""
    if own != known:
        raise StorageError(
            f"{config.data_dir} belongs to member {own.member_id:x}, which was removed from the "
            f"cluster: the member at these URLs is {known.member_id:x}. Start that one with an "
            "empty --data-dir"
        )


def first_entries(founders: Membership) -> tuple[Entry, ...]:
    """The entries with which the log of every founder begins; they count as committed, as in etcd.

    So a member that joins later learns from the log who the first members were.
    """
    return (Entry(1, FIRST_TERM, 0, 0, 0, encode(founders)),)


def _check_flags(config: NodeConfig, contents: Contents) -> None:
    """Refuse flags that name no URL of the log's memberships: they are for another cluster.

    The lists may differ otherwise, for members may have come, gone and moved since.
    """
    log = contents.log
    entries = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)
    memberships = [each for entry in entries if (each := read(entry.command)) is not None]
    known = places(
        url
        for membership in (contents.membership, *memberships)
        for peer in membership.peers
        for url in peer.peer_urls
    )
    named = places(url for member in config.members for url in member.peer_urls)
    if known and known.isdisjoint(named):
        member_id, cluster_id = contents.identity
        raise StorageError(
            f"{config.data_dir} belongs to member {member_id:x} of cluster {cluster_id:x}, and the "
            "flags name none of that cluster's peer URLs: use its --initial-cluster, or an empty "
            "--data-dir"
        )


def reconcile(config: NodeConfig, wal: Wal, contents: Contents, machine: Machine) -> Contents:
    """Make log and store agree: a crash may have come while a snapshot was being installed.

    Then the store holds the snapshot, and the log has only noted it: the log begins anew after it.
    Otherwise a store ahead of its log shows that a part of the log is gone: StorageError.
    """
    raft_log = contents.log
    applied = (machine.applied_index, machine.applied_term)
    # The term must match as well: an entry of another term is one that the snapshot replaces.
    if raft_log.term(applied[0]) == applied[1]:
        return contents
    if applied == contents.expected:
        membership = read(machine.membership) or contents.membership
        hard_state = contents.hard_state._replace(commit=applied[0])
        wal.reset(hard_state, (), LogStart(*applied, membership))
        return contents._replace(
            hard_state=hard_state, log=RaftLog(*applied), membership=membership
        )
    raise StorageError(
        f"{config.data_dir}: the store has applied entry {applied[0]} of term {applied[1]}, but "
        f"the log holds entries {raft_log.first_index} to {raft_log.last_index}, and not that one: "
        "part of the log is gone. Remove this member from the cluster and let it rejoin as a new "
        "member with an empty data directory"
    )


def last_time(contents: Contents, machine: Machine) -> int:
    """The greatest cluster time on this node's disk: its clock must not go back behind that."""
    last_index = contents.log.last_index
    if last_index < contents.log.first_index:
        return machine.cluster_ms
    (last,) = contents.log.slice(last_index, last_index + 1, bytes_max=0)
    return max(machine.cluster_ms, last.time_ms)
