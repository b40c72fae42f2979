"""Keyring: a member's own keys, whose keys it believes, and how it changes its key in two entries.

The members' public keys are in the membership, and so in the log. The first entry adds the next
key, and the second drops the former one, once all members hold the first. Between them, the other
members reach this one under either key. Refuses to know sockets and files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from actors.language.entries import NO_TICKET
from actors.language.members import NOBODY, SetKeys
from actors.language.messages import ChangeMembers
from actors.raft.admission import Admission
from actors.raft.core import RaftCore
from actors.raft.membership import Membership, decode
from actors.raft.rpc import Introduction, JoinRequest, Message, NotRafts, Welcome
from actors.raft.seams import Locks
from cluster.curve import HeldKeys, KeyPair

NEXT_STEP_MS: Final = 500
"""How often a member asks for the next step of a change of its key."""

HAND_OVER_ELECTIONS: Final = 4
"""A leader hands over before it changes its key, for its connections break at that moment, and its
followers would elect another. If nobody takes over within this number of election timeouts, it
changes its key as the leader."""

ANSWERS_MS: Final = 200
"""How long a member is still reached under the former key when the next one is in the log. Its
connections break after that, and answers that are not on their way by then are lost: above all the
one to whoever asked for the change."""

OTHERS_KEY: Final = "its sender has not the key of the member that it claims to be"


class KeySource(NamedTuple):
    """Where a member's keys come from, and where they are put to use.

    `save` makes a change of the own keys durable without holding anything up, and then tells this
    actor the message, if there is one. `make_pair` makes a pair. `trusted` are the keys that the
    operator has given for other members, by URL.
    """

    held: HeldKeys
    save: Callable[[HeldKeys, ChangeMembers | None], None]
    make_pair: Callable[[], KeyPair]
    locks: Locks
    trusted: Mapping[str, str] = {}


class Keyring:
    """The keys of one member of a cluster whose members have keys.

    `asked` are the URLs where it is asked who the members are, by the ids of their links.
    """

    def __init__(
        self,
        core: RaftCore,
        admission: Admission,
        source: KeySource,
        asked: Mapping[int, str],
    ) -> None:
        self.held = source.held
        self._core = core
        self._own_id = core.config.member_id
        self._admission = admission
        self._source = source
        urls = {link: url for link, url in asked.items() if url in source.trusted}
        self._asked = {link: (source.trusted[url],) for link, url in urls.items()}
        self._trusted = frozenset(source.trusted.values())
        self._serving = source.held.pair
        # The next pair, from the moment that it is made until it is on the disk.
        self._made: KeyPair | None = None
        self._ask_at_ms = 0
        self._hand_over_until_ms: int | None = None
        self._answers_until_ms: int | None = None
        # What `owners` was when the locks were set.
        self._locked: Mapping[str, int] | None = None

    # --- whom it believes ---

    def refusal(self, key: str, message: Message | NotRafts) -> str:
        """Why a message that came under this key is not believed, or ""."""
        match message:
            case Introduction(member_id) | JoinRequest(member_id=member_id):
                source = member_id
            case _:
                source = message.source
        self._admission.look()
        owner = self._admission.owners.get(key, NOBODY)
        if owner == NOBODY:
            return "" if self._is_trusted(key, message) else OTHERS_KEY
        # A member that joins asks who it is. The answer goes to where the members know it to be.
        is_unnamed = isinstance(message, JoinRequest) and source == NOBODY
        return "" if owner == source or is_unnamed else OTHERS_KEY

    def _is_trusted(self, key: str, message: Message | NotRafts) -> bool:
        """Whether a member that joins, and has no log yet, may believe who the members are."""
        if not isinstance(message, Welcome) or self._is_whole or key not in self._trusted:
            return False
        peer = decode(message.membership).peer(message.source)
        return peer is not None and key in peer.keys

    @property
    def _is_whole(self) -> bool:
        """Whether the log here says who the members are; a member that joins has none yet."""
        return bool(self._core.roster.latest.voters)

    def lock(self) -> None:
        """Have the door and the links use the keys that hold now, if these have changed."""
        self._admission.look()
        if self._locked is self._admission.owners:
            return
        self._locked = owners = self._admission.owners
        following, locks = self.held.next, self._source.locks
        published = self._own_keys(self._core.roster.committed)
        if following is not None and published == (following.public,):
            self.held = HeldKeys(following)
            self._source.save(self.held, None)
        pairs, following = [self.held.pair], self.held.next
        if following is not None and following.public in published:
            pairs.append(following)
        locks.admit(owners.keys() | (frozenset() if self._is_whole else self._trusted))
        locks.use(pairs, {**self._asked, **self._admission.keys})

    # --- a change of its key ---

    def takes(self, asked: ChangeMembers, now_ms: int) -> bool:
        """Whether a change that was asked for here is the keyring's; if so, it sees to it."""
        change, ticket = asked
        if not isinstance(change, SetKeys):
            return False
        if self._made is not None and change.keys[-1:] == (self._made.public,):
            # The next pair is on the disk: now the others may hear of it.
            self.held = self.held._replace(next=self._made)
            self._made = None
        elif not change.keys and self._made is None:
            self._begin(ticket, now_ms)
            return True
        return False

    def tick(self, now_ms: int) -> None:
        """Ask for the next step of a change of the key, if one is due."""
        held, core = self.held, self._core
        if not core.leader or now_ms < self._ask_at_ms or self._made is not None:
            return
        published = self._own_keys(core.roster.committed)
        if published == (held.pair.public,) and (held.next is not None or held.is_first):
            self._ask_at_ms = now_ms + NEXT_STEP_MS
            self._begin(NO_TICKET, now_ms)
        elif held.next is not None and published == (held.pair.public, held.next.public):
            self._finish(held.next, now_ms)

    def _begin(self, ticket: int, now_ms: int) -> None:
        """Have the next key added, if need be once it is made and saved."""
        held = self.held
        if held.next is not None:
            self._core.change_members(self._first_step(held.next), ticket, now_ms)
            return
        self._made = self._source.make_pair()
        said = ChangeMembers(self._first_step(self._made), ticket)
        self._source.save(held._replace(next=self._made), said)

    def _finish(self, following: KeyPair, now_ms: int) -> None:
        """Have the former key dropped, once the others can reach this member under the next one."""
        if self._serves(following, now_ms):
            self._ask_at_ms = now_ms + NEXT_STEP_MS
            dropped = SetKeys(self._own_id, (following.public,))
            self._core.change_members(dropped, NO_TICKET, now_ms)

    def _first_step(self, following: KeyPair) -> SetKeys:
        return SetKeys(self._own_id, (self.held.pair.public, following.public))

    def _serves(self, following: KeyPair, now_ms: int) -> bool:
        """Be reached under the next key; False while this member still answers or hands over."""
        core = self._core
        if self._serving == following:
            return True
        if self._answers_until_ms is None:
            self._answers_until_ms = now_ms + ANSWERS_MS
        if now_ms < self._answers_until_ms:
            return False
        if core.leads and core.best_successor != NOBODY:
            if self._hand_over_until_ms is None:
                wait_ms = HAND_OVER_ELECTIONS * core.config.election_timeout_ms
                self._hand_over_until_ms = now_ms + wait_ms
            if now_ms < self._hand_over_until_ms:
                core.transfer(core.best_successor, now_ms)
                return False
        self._hand_over_until_ms = self._answers_until_ms = None
        self._serving = following
        self._source.locks.serve(following)
        return True

    def _own_keys(self, membership: Membership) -> tuple[str, ...]:
        own = membership.peer(self._own_id)
        return () if own is None else own.keys
