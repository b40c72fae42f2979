"""The nodes of a local cluster as its data directory records them: names, ports, members.

It owns the data directory, the ports and the record of the nodes while the cluster is used, and
gives them back. It refuses to know how a node is started.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster.launcher.nodes.files import TEMPORARY, DataDirectory, delete_left_directories
from cluster.launcher.nodes.layout import LauncherError, NodeRecord, choose_nodes, next_node
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.ports import (
    PortClaims,
    PortTakenError,
    free_base_port,
    ports_given_away,
)
from cluster.launcher.secure.files import MemberKey, SecureFiles
from cluster.schemes import HTTPS


class NodeRoster:
    """The nodes by name, and who of them belongs to the cluster. Raises LauncherError."""

    def __init__(
        self,
        size: int | None,
        data_dir: str | Path | None,
        base_port: int | None,
        fixed_ports: bool,
        front: bool,
        secure: bool,
    ) -> None:
        if data_dir is None:
            delete_left_directories()
        self._temporary = tempfile.mkdtemp(prefix=TEMPORARY) if data_dir is None else None
        path = Path(data_dir or self._temporary or "")
        self.data_dir = path
        self.directory = DataDirectory(path)
        self._claims = PortClaims()
        # Apart from the others', so that no member can have such a port for its endpoint.
        self._direct_claims = PortClaims()
        try:
            recorded = self.directory.recorded_nodes()
            self.secure = _secure_files(path, recorded, secure)
            records = choose_nodes(recorded, size, base_port, fixed_ports, str(path), self._claims)
        except BaseException:
            self._forget_directory()
            raise
        self._is_recorded = bool(recorded)
        self._has_fronts = front or self.secure is not None
        # Nodes removed in an earlier run are kept as records only: their names and ports must not
        # be used again.
        self._former = tuple(record for record in records if record.is_removed)
        self.nodes = {
            record.name: self._node(record, records) for record in records if not record.is_removed
        }

    @property
    def members(self) -> list[NodeProcess]:
        """The nodes that belong to the cluster, whether they run or not."""
        return [node for node in self.nodes.values() if not node.is_removed]

    @property
    def voters(self) -> list[NodeProcess]:
        """The members with a vote: all but learners."""
        return [node for node in self.members if not node.is_learner]

    @property
    def endpoints(self) -> list[str]:
        """Every voter's address for clients, whether it runs or not: HOST:PORT, with https:// in a
        secure cluster."""
        scheme = HTTPS if self.secure is not None else ""
        return [f"{scheme}{node.endpoint}" for node in self.voters]

    @property
    def direct_addresses(self) -> dict[str, str]:
        """Where each voter itself is asked, not at its front: HOST:PORT (#KEY) by name."""
        return {node.name: node.direct_address for node in self.voters}

    @property
    def direct_endpoints(self) -> list[str]:
        """Where the launcher's own clients ask the voters: not at their fronts."""
        return [node.direct_address for node in self.voters]

    @property
    def own_key_file(self) -> str:
        """The key of the launcher's own clients; empty where the nodes have no keys."""
        return str(self.secure.key_file) if self.secure is not None else ""

    @property
    def running(self) -> list[NodeProcess]:
        """The nodes whose processes run, as of the last `reap`."""
        return [node for node in self.nodes.values() if node.running]

    @property
    def running_members(self) -> list[NodeProcess]:
        """The running nodes that belong to the cluster."""
        return [node for node in self.members if node.running]

    @property
    def quorum(self) -> int:
        """The number of voters that must run for writes to be acknowledged."""
        return len(self.voters) // 2 + 1

    @property
    def has_quorum(self) -> bool:
        """Whether a quorum of voters runs."""
        return sum(1 for node in self.voters if node.running) >= self.quorum

    def is_lone(self, node: NodeProcess) -> bool:
        """Whether this node is the only voter."""
        return [node] == self.voters

    def notes_on_ports(self) -> list[str]:
        """What the user should know of the members' ports, a line each."""
        given_away = ports_given_away()
        risky = [port for node in self.members for port in node.ports if port in given_away]
        if not risky:
            return []
        return [
            f"port {risky[0]} is one of {given_away.start} to {given_away[-1]}, which the kernel"
            " gives to any program: a node that was down may find its port taken"
        ]

    def count(self) -> str:
        """The number of members that run, in words."""
        return f"{len(self.running_members)} of {len(self.members)} nodes run"

    def node(self, name: str) -> NodeProcess:
        """The node of this name."""
        if name not in self.nodes:
            raise LauncherError(f"there is no node {name}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def name_of(self, member_id: int) -> str:
        """The name of the node with this member id, or the id as etcd writes it."""
        names = (node.name for node in self.nodes.values() if node.member_id == member_id)
        return next(names, f"{member_id:x}")

    # --- the record of the nodes ---

    def plan_node(
        self, name: str | None = None, learner: bool = False, in_place_of: str = ""
    ) -> NodeRecord:
        """A record for a new node: add it to the cluster, then `enlist` it.

        It may have the name of the node `in_place_of` which it comes.
        """
        record = next_node(list(self._records()), name, learner, self._claims, in_place_of)
        if self.secure is None:
            return record
        # Whatever is there was never a member's, or was wiped: the cluster takes no key twice.
        return record._replace(key=self._member_key(record.name).make(anew=True))

    def _enlist(self, record: NodeRecord, member_id: int) -> None:
        """Record a member that was added."""
        # A wiped node's new self takes the name of the old one, which is a former node then.
        former = self.nodes.get(record.name)
        if former is not None and former.is_removed:
            self._former = (*self._former, former.record)
        joined = record._replace(member_id=member_id)
        self.nodes[record.name] = self._node(joined, self._records())
        self.directory.record_nodes(self._records())

    def note_promoted(self, name: str) -> None:
        """Record that a learner is a voter now."""
        self._note(self.node(name), is_learner=False)

    def note_removed(self, name: str) -> None:
        """Record that a member was removed: it is not started again."""
        self._note(self.node(name), is_removed=True)

    def _note(self, node: NodeProcess, **what: bool) -> None:
        node.record = NodeRecord(**{**node.record._asdict(), **what})
        self.directory.record_nodes(self._records())

    def _records(self) -> Iterable[NodeRecord]:
        return (*self._former, *(node.record for node in self.nodes.values()))

    def _node(self, record: NodeRecord, recorded: Iterable[NodeRecord]) -> NodeProcess:
        direct_port = None
        if self._has_fronts:
            # A stopped node comes back to the ports that are recorded.
            needed = (other.ports for other in recorded)
            direct_port = self._direct_claims.claim_free(1, needed)[0].client
        log_path = self.directory.log_of(record.name)
        key = None if self.secure is None else self._member_key(record.name)
        return NodeProcess(record, log_path, direct_port, self.name_of, key)

    def _member_key(self, name: str) -> MemberKey:
        return MemberKey(self.directory.node_directory(name))

    # --- inside ---

    def _make_secrets(self) -> None:
        """Make what a secure cluster needs, if it is not there."""
        if self.secure is None:
            return
        self.secure.make()
        for node in self.members:
            if not node.record.key:
                node.record = node.record._replace(key=self._member_key(node.name).make())

    def _claim_ports(self) -> None:
        """Claim the members' ports until the end; LauncherError if one is taken."""
        try:
            for node in self.members:
                self._claims.claim(node.ports)
        except PortTakenError as error:
            raise LauncherError(f"{error}{self._other_ports()}") from None

    def _other_ports(self) -> str:
        """How to start the cluster although one of its ports is taken."""
        if self._is_recorded:
            return f": the nodes in {self.data_dir} keep their ports, so another must give it up"
        base_port = free_base_port(len(self.members))
        return f": --base-port {base_port} has free ones" if base_port else ""

    def _forget_directory(self) -> None:
        self._claims.release()
        self._direct_claims.release()
        self.directory.release()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _secure_files(path: Path, recorded: Sequence[NodeRecord], secure: bool) -> SecureFiles | None:
    """The secrets of the cluster in this directory; None: it has none. It stays what it is."""
    if not recorded:
        return SecureFiles(path) if secure else None
    if any(record.key for record in recorded):
        return SecureFiles(path)
    if secure:
        raise LauncherError(
            f"data directory {path} holds a cluster without keys, and it cannot get any: start it"
            " without --secure, or give --secure another --data-dir"
        )
    return None
