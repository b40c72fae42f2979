"""What a node finds on its disk when it starts, and whether that fits together.

The log is opened, begun, or asked for from the members of a running cluster; store and log are
brought to agree after a crash in the middle of a snapshot. Starts nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.language.members import Peer
from actors.offline.joining import ask_to_join
from actors.raft.disk.files import Files
from actors.raft.disk.mark import Mark
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import FIRST_TERM, LogStart, RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, encode, first_membership, read
from actors.raft.outcome import Contradicted, Ending, Removed, WasHere
from actors.store.machine import Machine
from cluster.config import NodeConfig

JOIN_SECONDS: Final = 30.0


def open_log(config: NodeConfig, files: Files) -> tuple[Wal, Contents]:
    """This member's log: what is on disk, or a new one for a new member."""
    directory = log_directory(config)
    if Wal.exists(directory, files):
        # As in etcd, what the flags say of the first members counts only the first time.
        wal, contents = Wal.open(directory, files=files)
        _check_flags(config, contents)
        if not config.member_id and contents.log.last_index == 0:
            # It was welcomed and told nothing since: it may have been removed meanwhile.
            _check_identity(config, contents.identity, _ask_who_i_am(config))
        return wal, contents
    # Before anything else is written: it may have been here before, and promised something.
    Mark(directory, files).make()
    if config.is_joining:
        identity = _ask_who_i_am(config)
        # What the others say of the members is not committed perhaps: that is for the log to say.
        return Wal.create(directory, identity, UNKNOWN_MEMBERS, files=files)
    identity = Identity(config.member_id, config.cluster_id)
    founders = first_membership(
        tuple(Peer(member.id, member.peer_urls) for member in config.members)
    )
    return Wal.create(directory, identity, founders, files=files, entries=first_entries(founders))


def _ask_who_i_am(config: NodeConfig) -> Identity:
    urls = [url for peer in config.peers for url in peer.peer_urls]
    welcome = ask_to_join(config.listen_peer_urls, config.peer_urls, urls, JOIN_SECONDS)
    if welcome.was_here:
        raise StorageError(was_here(config, welcome.member_id, welcome.client_urls))
    return Identity(welcome.member_id, welcome.cluster_id)


def log_directory(config: NodeConfig) -> Path:
    """Where this member's log is."""
    return config.data_dir / "wal"


def was_here(config: NodeConfig, member_id: int, client_urls: tuple[str, ...]) -> str:
    """Why a member without its data does not run, in etcd's words, and what mends it."""
    return (
        f"member {config.name} ({member_id:x}) has already been bootstrapped, but {config.data_dir}"
        " does not hold its data: its disk was lost or emptied. "
        f"{_replacement(config, member_id, client_urls)}"
    )


def why_it_ends(config: NodeConfig, member_id: int, ending: Ending) -> str:
    """One line for whoever started a member that must not go on."""
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
                f"member {config.name} ({member_id:x}) stops: {_contradiction(ending)}. What is in "
                f"{config.data_dir} was rolled back, is another's, or followed one that was. "
                f"{_replacement(config, member_id, ())}"
            )


def _contradiction(ending: Contradicted) -> str:
    index, term, own_term, witness = ending
    if not term:
        return f"it has acknowledged entry {index} to the leader {witness:x}, and does not hold it"
    own = f"has one of term {own_term} there" if own_term else "does not have it"
    return f"member {witness:x} has committed entry {index} of term {term}, and this one {own}"


def _replacement(config: NodeConfig, member_id: int, client_urls: tuple[str, ...]) -> str:
    """How another member takes this one's place; the command comes last, to be pasted."""
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
            f"{config.data_dir} belongs to member {own.member_id:x}, which the cluster has not any "
            f"more: the member at these URLs is {known.member_id:x}. Start it with an empty "
            "--data-dir"
        )


def first_entries(founders: Membership) -> tuple[Entry, ...]:
    """What every founder's log begins with, committed from the beginning, as in etcd.

    So a member that joins later learns from the log, as all else, who the first members were.
    """
    return (Entry(1, FIRST_TERM, 0, 0, 0, encode(founders)),)


def _check_flags(config: NodeConfig, contents: Contents) -> None:
    """Members may have come, gone and moved; but flags that share no URL are another cluster's."""
    log = contents.log
    entries = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)
    memberships = [each for entry in entries if (each := read(entry.command)) is not None]
    known = {
        url
        for membership in (contents.membership, *memberships)
        for peer in membership.peers
        for url in peer.peer_urls
    }
    if known and known.isdisjoint(url for member in config.members for url in member.peer_urls):
        member_id, cluster_id = contents.identity
        raise StorageError(
            f"{config.data_dir} belongs to member {member_id:x} of cluster {cluster_id:x}, and the "
            "flags name none of that cluster's peer URLs: use its --initial-cluster, or an empty "
            "--data-dir"
        )


def reconcile(config: NodeConfig, wal: Wal, contents: Contents, machine: Machine) -> Contents:
    """The log and the store must fit together; they may not when a snapshot was being installed."""
    raft_log = contents.log
    applied = (machine.applied_index, machine.applied_term)
    # By term too: what the log holds there may be what the snapshot was to replace.
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
    """The greatest cluster time this node has seen: it must not go back."""
    last_index = contents.log.last_index
    if last_index < contents.log.first_index:
        return machine.cluster_ms
    (last,) = contents.log.slice(last_index, last_index + 1, bytes_max=0)
    return max(machine.cluster_ms, last.time_ms)
