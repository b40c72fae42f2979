"""A member's keys when its node starts: where they come from, whether they fit, and who uses them.

It finds the pair on the disk, makes it, or derives it from the secret that the first members share,
and compares it with the log. While the node runs it joins the keyring to the sockets. Refuses to
know how a key is changed: `raft.keyring` does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import zmq

from actors.language.errors import StorageError, described
from actors.language.members import Knock
from actors.language.messages import ChangeMembers
from actors.offline.recovery import trusted_keys
from actors.raft.disk.files import DISK
from actors.raft.disk.wal import Wal
from actors.raft.keyring import KeySource
from actors.raft.membership import Membership
from actors.raft.surroundings import Polling
from cluster.client_lock import ClientLock
from cluster.config import NodeConfig
from cluster.curve import HeldKeys, KeyPair, derived_pair, new_pair
from cluster.door import ClientDoor
from cluster.exposure import refuse_open_peers
from cluster.flag_values import ConfigError
from cluster.gatekeeper import Gatekeeper, let_in
from cluster.key_files import MEMBER, KeyFileError, read, read_bootstrap, write
from cluster.links import PEER_DOMAIN, ZAP_DOMAIN, PeerDoor, PeerLock
from cluster.peer_links import PeerLinks

log: Final = logging.getLogger("leasehold")


class MemberKeys(NamedTuple):
    """The keys of this node's member, and the file that holds them."""

    path: Path
    held: HeldKeys

    def save(self, held: HeldKeys) -> None:
        """Keep these keys from now on."""
        write(self.path, MEMBER, held)

    @property
    def publics(self) -> set[str]:
        """The public halves."""
        held = self.held
        return {held.pair.public} | ({held.next.public} if held.next is not None else set())


def find_keys(config: NodeConfig) -> MemberKeys | None:
    """The keys to start with, None: this member has none. Raises StorageError.

    New ones are on the disk before anybody is told of them. Those that are derived can be derived
    again, and are written once they are found to fit the log.
    """
    path = config.key_path
    try:
        if path.exists():
            return MemberKeys(path, _fitting(config, read(path, MEMBER)))
        held = _first_keys(config)
    except (KeyFileError, OSError) as error:
        raise StorageError(str(error)) from None
    if held is None:
        return None
    keys = MemberKeys(path, held)
    if not held.is_first:
        keys.save(held)
    return keys


def _fitting(config: NodeConfig, held: HeldKeys) -> HeldKeys:
    """As in etcd, flags about the first members count at the first start only."""
    keys, named = MemberKeys(config.key_path, held), config.own_member.key
    is_first = not Wal.exists(config.data_dir / "wal", DISK)
    if is_first and named and named not in keys.publics and config.bootstrap_file is None:
        raise StorageError(
            f"{config.key_path} holds the key {held.pair.public}, and by the flags the key of "
            f"{config.name} is {named}: name the one that the file holds"
        )
    return held


def _first_keys(config: NodeConfig) -> HeldKeys | None:
    own, path = config.own_member, config.bootstrap_file
    if path is not None:
        pair = derived_pair(read_bootstrap(path), config.name)
        if own.key == pair.public:
            return HeldKeys(pair, is_first=True)
    if config.have_members_keys and not Wal.exists(config.data_dir / "wal", DISK):
        raise StorageError(
            f"{config.key_path} is not there, and the other members are to know this one by its "
            f"key: make it with `leasehold key make --data-dir {config.data_dir}`, and give them "
            "the public half that it prints"
        )
    if not config.have_members_keys and config.has_client_keys:
        return HeldKeys(new_pair())
    return None


def with_own_key(config: NodeConfig, keys: MemberKeys | None) -> NodeConfig:
    """The first members with the key of one that is alone, and needs to tell nobody of it."""
    is_first = not Wal.exists(config.data_dir / "wal", DISK)
    if keys is None or len(config.members) > 1 or config.have_members_keys or not is_first:
        return config
    own = config.own_member
    return config._replace(members=(own._replace(key=keys.held.pair.public),))


def have_keys(
    config: NodeConfig, member_id: int, membership: Membership, keys: MemberKeys | None
) -> bool:
    """Whether the members have keys, by the log or, before there is one, by the flags.

    Raises StorageError when this member's keys do not fit.
    """
    own = membership.peer(member_id)
    if own is None:
        return config.have_members_keys
    if not own.keys:
        if config.have_members_keys:
            raise StorageError(
                "the flags name keys of members, and this cluster was made without: its members "
                "would talk without keys. Leave the keys out, or make a new cluster of a snapshot "
                "of this one (leasehold snapshot restore), which may have keys"
            )
        return False
    if keys is None:
        raise StorageError(
            f"{config.key_path} is not there, and the members of this cluster have keys: bring "
            "it back, or replace this member"
        )
    if keys.publics.isdisjoint(own.keys):
        raise StorageError(
            f"{config.key_path} holds a key that is not this member's any more: bring the later "
            "file back, or replace this member"
        )
    if not keys.path.exists():
        keys.save(keys.held)
    return True


class PeerGuard:
    """Joins the keyring of a node's member to its door and its links, and to the gatekeeper."""

    def __init__(
        self,
        config: NodeConfig,
        keys: MemberKeys,
        gatekeeper: Gatekeeper,
        serve_clients: Callable[[KeyPair], None],
    ) -> None:
        self._serve_clients = serve_clients
        self._keys = keys
        self._trusted = trusted_keys(config)
        self._gatekeeper = gatekeeper
        self._lock = PeerLock(keys.held.pair)
        self._saving: threading.Thread | None = None
        # From `lock` and `opened` on.
        self._tell: Callable[[ChangeMembers | Knock], None]
        self._door: PeerDoor
        self._links: PeerLinks

    def lock(self, mailbox: Polling) -> PeerLock:
        """The lock of the door that is about to be opened; the mailbox is told who knocks."""
        self._tell = mailbox.tell
        self._lock.on_stranger = lambda key: mailbox.tell(Knock(key))
        self._gatekeeper.guard(PEER_DOMAIN, self._lock.judge)
        return self._lock

    def opened(self, door: PeerDoor, links: PeerLinks) -> None:
        """These are the door and the links."""
        self._door, self._links = door, links

    def source(self) -> KeySource:
        """What the keyring works with, once the door is open."""
        return KeySource(self._keys.held, self._save, new_pair, self, self._trusted)

    def _save(self, held: HeldKeys, said: ChangeMembers | None) -> None:
        """Write the keys in a thread, one after the other: the loop must not wait for a disk."""
        before = self._saving

        def work() -> None:
            if before is not None:
                before.join()
            try:
                self._keys.save(held)
            except OSError as error:
                log.error("the keys of this member were not saved: %s", described(error))
                return
            if said is not None:
                self._tell(said)

        self._saving = threading.Thread(target=work, name="key file")
        self._saving.start()

    # --- raft.seams.Locks ---

    def admit(self, keys: Collection[str]) -> None:
        """Let in those with these keys."""
        self._lock.admitted = frozenset(keys)

    def serve(self, pair: KeyPair) -> None:
        """Be reached under this pair."""
        self._door.serve(pair)
        self._serve_clients(pair)

    def use(self, pairs: Sequence[KeyPair], keys: Mapping[int, Sequence[str]]) -> None:
        """Reach the others with these pairs, under their keys."""
        self._links.use(pairs, keys)


class Security:
    """What a node has to do with keys; without any, it asks nobody who they are."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], config: NodeConfig, keys: MemberKeys | None
    ) -> None:
        self.keys = keys
        self._config = config
        self.gatekeeper: Gatekeeper | None = None
        # The door of clients, once it is open: it has the same key as that of members.
        self.client_door: ClientDoor | None = None
        if keys is not None:
            self.gatekeeper = Gatekeeper(context)
            self.gatekeeper.guard(ZAP_DOMAIN, let_in)

    @property
    def held(self) -> HeldKeys | None:
        """The own keys."""
        return None if self.keys is None else self.keys.held

    def peer_guard(self, member_id: int, membership: Membership) -> PeerGuard | None:
        """The guard between members; None: they have no keys. Raises StorageError."""
        config, keys = self._config, self.keys
        if not have_keys(config, member_id, membership, keys):
            if not config.is_insecure:
                try:
                    refuse_open_peers(config.listen_peer_urls, have_keys=False)
                except ConfigError as error:
                    raise StorageError(str(error)) from None
            log.info("members have no keys: whoever reaches a peer URL can speak as a member")
            return None
        assert keys is not None and self.gatekeeper is not None, "have_keys has looked"
        return PeerGuard(config, keys, self.gatekeeper, self.serve)

    def client_lock(self) -> ClientLock | None:
        """The lock of the door of clients; None: they need no keys."""
        if not self._config.has_client_keys:
            return None
        assert self.keys is not None and self.gatekeeper is not None, "find_keys has made some"
        lock = ClientLock(self.keys.held.pair)
        self.gatekeeper.guard(ZAP_DOMAIN, lock.judge)
        return lock

    def serve(self, pair: KeyPair) -> None:
        """Clients reach this node under this pair from now on."""
        if self.client_door is not None and self._config.has_client_keys:
            self.client_door.serve(pair)

    def close(self) -> None:
        """Let nobody in any more; call it when the doors are closed."""
        if self.gatekeeper is not None:
            self.gatekeeper.close()
