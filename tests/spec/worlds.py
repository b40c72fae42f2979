"""Small worlds: how many members, what may happen how often, and what must happen somewhere.

A world is explored as a whole, so it has to be small. A world in which nothing interesting happens
proves nothing, so each says what must happen on some way through it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Limit = Literal[
    "elections",
    "proposals",
    "reads",
    "changes",
    "transfers",
    "compactions",
    "beats",
    "times",
    "breaks",
    "crashes",
]
LIMITS: Final[tuple[Limit, ...]] = (
    "elections",
    "proposals",
    "reads",
    "changes",
    "transfers",
    "compactions",
    "beats",
    "times",
    "breaks",
    "crashes",
)

FIRST_ID: Final = 7_001
"""The id of the first member: no term, index or time comes near it, so ids can be renamed."""


class Change(NamedTuple):
    """A change of the members, which are numbered from 1."""

    kind: Literal["add", "add learner", "promote", "remove", "replace"]
    member: int
    by: int = 0


class World(NamedTuple):
    """`voters` members, then `learners`, then `strangers` that may be added.

    `terms` is the last term that a member may enter. The other numbers say how often each thing may
    happen in all: an election timeout, a proposal, a read, the next of `changes`, a transfer to any
    voter, a compaction of a log, a round of heartbeats, a broken connection (or a leader that hears
    nobody), a crash (before or after a save). `times`: how often a leader's clock goes on by a
    millisecond; then the proposals grant a lease and end it.
    With `silences` a follower may cease to hear its leader. While a member of `late` saves, other
    things may happen to it. `logs` are the terms of entries that the first members have from
    earlier leaders, none of them committed; all are then in the next term, which nobody has won.
    The member `ahead` is in the term after that, because it has refused a candidate there, and has
    a vote to give. With a `leader` that member stands at first, everybody hears all that is said
    until nothing is new, and what was said then is lost. Only the `reader` reads, or with 0
    everybody does. `sometimes` must happen.
    """

    name: str
    voters: int
    learners: int = 0
    strangers: int = 0
    terms: int = 3
    elections: int = 2
    proposals: int = 0
    reads: int = 0
    changes: tuple[Change, ...] = ()
    transfers: int = 0
    compactions: int = 0
    beats: int = 0
    times: int = 0
    crashes: int = 0
    breaks: int = 0
    silences: bool = False
    late: tuple[int, ...] = ()
    logs: tuple[tuple[int, ...], ...] = ()
    ahead: int = 0
    leader: int = 0
    reader: int = 0
    sometimes: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[int, ...]:
        """How often each of LIMITS may happen."""
        return tuple(
            len(self.changes) if name == "changes" else int(getattr(self, name)) for name in LIMITS
        )

    def is_late(self, member: int) -> bool:
        """Whether the disk of that member takes its time."""
        return member - FIRST_ID + 1 in self.late

    def starts_in(self, member: int) -> int:
        """The term in which that member begins."""
        return self.first_term + (self.ahead == member - FIRST_ID + 1)

    @property
    def named(self) -> frozenset[int]:
        """The numbers of the members that are told from others by what may happen to them."""
        changed = {number for each in self.changes for number in (each.member, each.by)}
        everybody = frozenset(range(1, len(self.ids) + 1))
        late = () if everybody <= frozenset(self.late) else self.late
        return everybody & {*changed, *late, self.ahead, self.reader}

    def reads_at(self, member: int) -> bool:
        """Whether clients of that member read."""
        return self.reader == 0 or member == id_of(self.reader)

    @property
    def first_term(self) -> int:
        """The term in which members begin; 1 is that of the entry with which a log begins."""
        return 1 + max((each for log in self.logs for each in log), default=0)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all members and strangers."""
        return tuple(range(FIRST_ID, FIRST_ID + self.voters + self.learners + self.strangers))


ELECTED: Final = ("a leader is elected", "an entry is committed")
OLD_TERM: Final = "an entry of an earlier term is committed"
CHANGED: Final = ("a joint configuration is committed", "a change is done")

TABLE: Final = (
    World("pair", 2, elections=2, proposals=1, sometimes=(*ELECTED, "a leader is deposed")),
    World(
        "pair-crashes",
        2,
        elections=2,
        proposals=1,
        crashes=2,
        sometimes=(*ELECTED, "a member crashes", OLD_TERM),
    ),
    World(
        "pair-late-saves",
        2,
        elections=1,
        terms=2,
        proposals=1,
        crashes=1,
        late=(1, 2),
        sometimes=(*ELECTED, "a crash loses entries"),
    ),
    World("three", 3, elections=1, terms=2, proposals=1, sometimes=ELECTED),
    World(
        "three-succession",
        3,
        leader=1,
        elections=1,
        proposals=1,
        silences=True,
        sometimes=(*ELECTED, OLD_TERM, "entries are replaced", "a leader is deposed"),
    ),
    World(
        "three-divided",
        3,
        elections=1,
        terms=5,
        logs=((2,), (3,), ()),
        crashes=1,
        sometimes=(*ELECTED, OLD_TERM, "entries are replaced", "a member crashes"),
    ),
    World(
        "three-reads",
        3,
        leader=1,
        elections=1,
        reads=1,
        reader=1,
        breaks=1,
        sometimes=(*ELECTED, "a read is served", "a leader is deposed"),
    ),
    World(
        "three-transfer",
        3,
        leader=1,
        elections=0,
        transfers=1,
        proposals=1,
        sometimes=("a transfer succeeds", OLD_TERM, "entries are replaced"),
    ),
    World(
        "three-snapshot",
        3,
        leader=1,
        elections=0,
        proposals=1,
        compactions=1,
        beats=1,
        sometimes=("a log is compacted", "a snapshot is installed"),
    ),
    World(
        "learner-snapshot",
        1,
        learners=1,
        elections=1,
        terms=2,
        compactions=1,
        breaks=1,
        crashes=1,
        sometimes=("a log is compacted", "a snapshot is installed", "a member crashes"),
    ),
    World(
        "two-remove-the-leader",
        2,
        leader=1,
        elections=1,
        changes=(Change("remove", 1),),
        beats=1,
        sometimes=(*CHANGED, "a leader is removed", "a leader is elected"),
    ),
    World(
        "one-grows",
        1,
        strangers=1,
        elections=2,
        changes=(Change("add", 2),),
        beats=1,
        crashes=1,
        sometimes=(*CHANGED, "a leader is elected by two sets of voters"),
    ),
    World(
        "learner-promoted",
        2,
        learners=1,
        leader=1,
        elections=0,
        changes=(Change("promote", 3),),
        sometimes=CHANGED,
    ),
    World(
        "three-replace-one",
        3,
        strangers=1,
        leader=1,
        elections=0,
        changes=(Change("replace", 3, 4),),
        sometimes=CHANGED,
    ),
    World(
        "three-rivals",
        3,
        elections=2,
        terms=3,
        sometimes=(*ELECTED, OLD_TERM, "a late vote elects a leader"),
    ),
    World(
        "three-rivals-crash",
        3,
        ahead=3,
        elections=2,
        terms=2,
        crashes=1,
        sometimes=(*ELECTED, "a member crashes", "a late vote elects a leader"),
    ),
    World(
        "three-rivals-late",
        3,
        leader=1,
        late=(3,),
        elections=2,
        crashes=1,
        breaks=1,
        silences=True,
        sometimes=(*ELECTED, OLD_TERM, "a member crashes", "a leader is deposed"),
    ),
    World(
        "three-figure-8",
        3,
        late=(1,),
        elections=2,
        terms=6,
        logs=((2,), (3,), ()),
        crashes=1,
        sometimes=(*ELECTED, OLD_TERM, "a member crashes", "entries are replaced"),
    ),
    World(
        "three-stale",
        3,
        elections=2,
        terms=6,
        logs=((2, 2, 2), (3,), ()),
        silences=True,
        sometimes=(*ELECTED, OLD_TERM, "a leader is deposed", "entries are replaced"),
    ),
    World(
        "three-behind",
        3,
        elections=1,
        terms=5,
        logs=((2,), (3, 3, 3), ()),
        beats=1,
        sometimes=(*ELECTED, OLD_TERM, "entries are replaced"),
    ),
    World(
        "three-behind-snapshot",
        3,
        elections=1,
        terms=5,
        logs=((2,), (3, 3, 3), ()),
        compactions=1,
        sometimes=(*ELECTED, OLD_TERM, "a log is compacted", "a snapshot is installed"),
    ),
    World(
        "pair-reads",
        2,
        leader=1,
        reader=2,
        elections=0,
        proposals=1,
        reads=2,
        crashes=1,
        sometimes=("a read is served", "an entry is committed", "a member crashes"),
    ),
    World(
        "pair-reads-anew",
        2,
        leader=1,
        reader=2,
        elections=1,
        breaks=1,
        proposals=1,
        reads=1,
        sometimes=("a read is served", "an entry is committed", "a leader is elected"),
    ),
    World(
        "three-reads-behind",
        3,
        leader=1,
        reader=2,
        elections=0,
        proposals=1,
        reads=1,
        sometimes=("a read is served", "an entry is committed"),
    ),
    World(
        "pair-two-changes",
        2,
        strangers=1,
        leader=1,
        elections=0,
        changes=(Change("add learner", 3), Change("remove", 2)),
        sometimes=("a change is done",),
    ),
    World(
        "learner-reads",
        3,
        learners=1,
        leader=1,
        reader=1,
        elections=1,
        breaks=1,
        reads=1,
        sometimes=(*ELECTED, "a read is served", "a leader is deposed"),
    ),
    World(
        "three-replace-large",
        3,
        strangers=1,
        leader=1,
        elections=2,
        proposals=1,
        changes=(Change("replace", 3, 4),),
        crashes=1,
        silences=True,
        sometimes=(
            *CHANGED,
            OLD_TERM,
            "a leader is elected by two sets of voters",
            "a leader is deposed",
            "entries are replaced",
            "a member crashes",
        ),
    ),
)
WORLDS: Final = {world.name: world for world in TABLE}
LARGE: Final = (
    "three-rivals-late",
    "three-figure-8",
    "three-stale",
    "learner-reads",
    "three-replace-large",
)
"""The worlds that take longer than minutes. The bugs for which some of them are made show soon."""


def id_of(number: int) -> int:
    """The id of the member of a number."""
    return FIRST_ID - 1 + number
