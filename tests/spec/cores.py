"""The state of a shipped core as a value: taken out of it, put into it, with members renamed.

A core is a fixed set of parts that know each other, and what is in them. `Body` finds the parts of
one core once. Then `freeze` gives all that is in them as one hashable value, and `thaw` puts it
back: into the same parts, so that no part is made again. It goes by what it finds: an attribute
that is new in the core is taken along, or refused with a TypeError if its kind is not known here.

Time stands still at NOW. Which timeout passes next is the checker's choice, so before a freeze
`rest` sets all times that only say when something is due to fixed ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from actors.language.members import Peer
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.membership import MARK, Membership, encode, read
from actors.raft.outcome import CoreConfig
from actors.raft.progress import Progress
from actors.raft.roles import Candidate, Follower
from actors.raft.rounds import ReadRounds
from actors.raft.rpc import Message

NOW: Final = 1_000_000
TIMEOUT_MS: Final = 300
BEAT_MS: Final = 10
GIVE_UP_MS: Final = 7
"""When a heartbeat, and the end of a transfer, are due after NOW: sooner than a timeout."""

MADE: Final = (Follower, Candidate, Leader, Progress, ReadRounds)
"""The classes of which a core makes objects while it runs; the other parts are made once."""

PLAIN: Final = (int, str, bytes, float, Enum, frozenset, type(None))


class Box(NamedTuple):
    """Something that changes in place, as a value: its kind, and what is in it."""

    kind: Any
    items: tuple[Any, ...]


Frozen = tuple[tuple[Any, ...], ...]
"""For each part the values of its attributes."""


class Body:
    """One core, and its parts in a fixed order."""

    def __init__(self, core: RaftCore) -> None:
        self.core = core
        self._parts = _parts_of(core)
        self._numbers = {id(part): number for number, part in enumerate(self._parts)}
        self._names = [self._changing(part) for part in self._parts]

    def _changing(self, part: Any) -> tuple[str, ...]:
        """The attributes of a part that are not other parts, settings or functions."""
        return tuple(
            name
            for name, value in vars(part).items()
            if id(value) not in self._numbers
            and not isinstance(value, CoreConfig)
            and not callable(value)
        )

    def freeze(self) -> Frozen:
        """All that is in the core."""
        known: dict[int, int] = {}
        frozen = []
        for part, names in zip(self._parts, self._names, strict=True):
            state = vars(part)
            frozen.append(tuple([self._freeze(state[name], known) for name in names]))
        return tuple(frozen)

    def _freeze(self, value: Any, known: dict[int, int]) -> Any:
        if isinstance(value, PLAIN):
            return value
        kind = type(value)
        if kind is tuple:
            return tuple([self._freeze(each, known) for each in value])
        if isinstance(value, tuple):
            return value  # a NamedTuple of plain values
        if kind is dict:
            items = sorted(value.items(), key=_key)
            return Box(dict, tuple([(key, self._freeze(each, known)) for key, each in items]))
        if kind in (list, deque):
            return Box(kind, tuple([self._freeze(each, known) for each in value]))
        if kind is set:
            return Box(set, tuple(sorted(value)))
        number = self._numbers.get(id(value))
        if number is not None:
            return Box("part", (number,))
        if kind not in MADE:
            raise TypeError(f"a core has something in it that is not known here: {value!r}")
        if id(value) in known:
            return Box("known", (known[id(value)],))
        known[id(value)] = len(known)
        fields = [self._freeze(getattr(value, name), known) for name in _fields(kind, value)]
        return Box(kind, tuple(fields))

    def thaw(self, frozen: Frozen) -> RaftCore:
        """The core, with all that is in it as it was."""
        known: list[Any] = []
        for part, names, values in zip(self._parts, self._names, frozen, strict=True):
            state = vars(part)
            for name, value in zip(names, values, strict=True):
                state[name] = self._thaw(value, known)
        return self.core

    def _thaw(self, value: Any, known: list[Any]) -> Any:
        kind = type(value)
        if kind is tuple:
            return tuple([self._thaw(each, known) for each in value])
        if kind is not Box:
            return value
        match value.kind:
            case "part":
                return self._parts[value.items[0]]
            case "known":
                return known[value.items[0]]
        kind = value.kind
        if kind is dict:
            return {key: self._thaw(each, known) for key, each in value.items}
        if kind in (list, deque, set):
            return kind([self._thaw(each, known) for each in value.items])
        made = kind.__new__(kind)
        known.append(made)
        for name, each in zip(FIELDS[kind], value.items, strict=True):
            setattr(made, name, self._thaw(each, known))
        if kind is Leader:
            made._each_peer = tuple(made.peers.items())
        return made


FIELDS: Final[dict[type, tuple[str, ...]]] = {}
"""The attributes of the classes of MADE, as they were first seen."""


def _fields(kind: type, value: Any) -> tuple[str, ...]:
    if kind not in FIELDS:
        names = getattr(kind, "__slots__", None) or vars(value)
        # What is in it is in `peers`, in an order that depends on the members' names.
        FIELDS[kind] = tuple(name for name in names if name != "_each_peer")
    return FIELDS[kind]


def _key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _key_and_value(item: tuple[Any, Any]) -> Any:
    """Where several members are given one name, their values must not stand in their old order."""
    return item[0], hash(item[1])


def _parts_of(core: RaftCore) -> list[Any]:
    parts: list[Any] = [core]
    for part in parts:
        for value in vars(part).values():
            is_own = type(value).__module__.startswith("actors.raft")
            is_part = is_own and hasattr(value, "__dict__") and not isinstance(value, PLAIN)
            is_known = any(value is each for each in parts)
            if is_part and not is_known and not isinstance(value, (*MADE, tuple)):
                parts.append(value)
    return parts


def rest(core: RaftCore, now_ms: int = NOW, is_silent: bool = False) -> None:
    """Set what only says when something is due; `is_silent`: the leader was not heard lately.

    Time has come to `now_ms` with the last input, and begins at NOW again. Cluster time does so at
    that of the last entry.
    """
    elector, role = core.elector, core.role
    elector.facts.noted.clear()
    elector._stood_ms = NOW
    elector._timer.due_ms = NOW + TIMEOUT_MS
    if isinstance(role, Follower):
        is_heard = core.leader and now_ms - role.heard_ms < TIMEOUT_MS and not is_silent
        role.heard_ms = NOW if is_heard else NOW - TIMEOUT_MS
    if isinstance(role, Leader):
        last_ms = role.log.time_ms(role.log.last_index)
        role.cluster_ms_at_start = max(role.cluster_ms_at_start, last_ms)
        role.started_ms = NOW
        role.heartbeat_due_ms = role.due_ms = NOW + BEAT_MS
        role.quorum_check_due_ms = NOW + TIMEOUT_MS
        role.notice_due_ms = None if role.notice_due_ms is None else NOW + BEAT_MS
        role._kept, role._kept_at = ((), 0, 0), (0, 0)
        for peer in role.peers.values():
            peer.heard_ms = NOW
    else:
        role.hurried_until_ms = 0
    outbox = core._outbox
    outbox.promises, outbox._saving = _each_once(outbox.promises), _each_once(outbox._saving)
    reads, desk, transfers, trial = core._reads, core._desk, core._transfers, core._trial
    reads.asked_ms = dict.fromkeys(reads.asked_ms, NOW)
    desk._held = deque((NOW, each) for _, each in desk._held)
    desk._forwarded = {ticket: (NOW, each) for ticket, (_, each) in desk._forwarded.items()}
    trial._asked = {member: each._replace(since_ms=NOW) for member, each in trial._asked.items()}
    if transfers._under_way is not None:
        transfers.due_ms = NOW + GIVE_UP_MS
        transfers._under_way = transfers._under_way._replace(until_ms=transfers.due_ms)


def _each_once(messages: list[Message]) -> list[Message]:
    """Messages without those that a member has made twice, as it has heard something twice."""
    return [each for _, each in dict.fromkeys((type(each), each) for each in messages)]


# --- renaming members -------------------------------------------------------------------------

Names = Mapping[int, int]
"""For each member's id another one. Ids are so large that no other number equals one of them."""


def renamed(value: Any, names: Names) -> Any:
    """A value with the members in it renamed: ids, and URLs, which are made of ids."""
    kind = type(value)
    if kind is int:
        return names.get(value, value)
    rename = RENAMERS.get(kind)
    if rename is not None:
        return rename(value, names)
    if isinstance(value, tuple):
        return kind(*[renamed(each, names) for each in value])
    return value


def _box(box: Box, names: Names) -> Box:
    items = [renamed(each, names) for each in box.items]
    if box.kind in (dict, set):
        items.sort(key=_key_and_value if box.kind is dict else None)
    return Box(box.kind, tuple(items))


def _bytes(command: bytes, names: Names) -> bytes:
    membership = read(command) if command[:1] == MARK else None
    return command if membership is None else encode(_membership(membership, names))


def _membership(known: Membership, names: Names) -> Membership:
    fields = [renamed(each, names) for each in known]
    return Membership(tuple(sorted(fields[0])), *fields[1:])


def _url(url: str, names: Names) -> str:
    place, _, port = url.rpartition(":")
    return f"{place}:{names.get(int(port), port)}" if place and port.isdigit() else url


RENAMERS: Final[dict[type, Callable[[Any, Names], Any]]] = {
    tuple: lambda value, names: tuple([renamed(each, names) for each in value]),
    frozenset: lambda value, names: frozenset([renamed(each, names) for each in value]),
    Box: _box,
    bytes: _bytes,
    Membership: _membership,
    str: _url,
}


def peer(member: int) -> Peer:
    """A member, at a URL whose port is its id."""
    return Peer(member, (f"tcp://host:{member}",))
