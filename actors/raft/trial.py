"""Trial: what follows when two logs contradict each other, and who of the two is wrong.

What one member has committed no right leader lacks or has otherwise (5.4.3). Where that is seen all
the same, some disk has forgotten: it was rolled back, or exchanged. Nobody truncates or dies of it.
Who sees it tells the other: "at this index I have committed an entry of this term", and the other
compares. A leader that lacks the entry is the wrong one: it was elected by the vote of a disk that
had forgotten. If both have an entry there, that of the later term is wrong: its leader had to have
the other. So whoever has the later term stops, and who has committed that of the earlier term tells
so in turn. A member that lacks what its leader knows it has acknowledged is wrong by itself. The
wrong one says so to all before it stops, and they raise an alarm.

None of this is believed because a frame says so, for anybody can send frames under a member's name.
Whoever hears something that would end it, or raise an alarm, asks back with a random number, where
that member is known to be reached; only an answer with that number counts. What the end of this
member means for its role and its outbox is RaftCore's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from actors.raft.elector import Elector
from actors.raft.leader import Leader
from actors.raft.outbox import Outbox
from actors.raft.outcome import Contradicted, CoreConfig
from actors.raft.replica import Replica
from actors.raft.rpc import AppendResponse, Confession, Contradiction, Doubt, Heartbeat

NONCES: Final = 1 << 62


class _Question(NamedTuple):
    """A question that is under way to a member; whether it is about what was acknowledged to it."""

    nonce: int
    since_ms: int
    acknowledged: bool


class Trial:
    """One member's part in it. `accused` are wrong members; `at_odds` those whose log does not fit
    to this one. Both are taken by who tells of them."""

    def __init__(
        self,
        config: CoreConfig,
        elector: Elector,
        replica: Replica,
        outbox: Outbox,
        chance: Callable[[int], int],
    ) -> None:
        self._own_id = config.member_id
        self._ask_again_ms = config.heartbeat_ms
        self._elector = elector
        self._replica = replica
        self._outbox = outbox
        self._draw = chance
        self._asked: dict[int, _Question] = {}
        self.accused: list[int] = []
        self.at_odds: list[int] = []

    # --- what is seen ---

    def heeds(self, message: AppendResponse, now_ms: int) -> bool:
        """Whether a leader may count an answer: not if it shows that this log is not whole."""
        index, entry_term = message.hint_index, message.hint_term
        if message.rejected or not index or not self._is_at_odds(index, entry_term):
            return True
        self._ask_back(message.source, index, now_ms)
        return False

    def lacks(self, beat: Heartbeat, now_ms: int) -> bool:
        """Whether a leader counts on an acknowledgement of what is not here any more."""
        if beat.commit <= self._replica.log.last_index:
            return False
        self._ask_back(beat.source, beat.commit, now_ms, acknowledged=True)
        return True

    def _is_at_odds(self, index: int, entry_term: int) -> bool:
        """Whether the log here is not that of who has committed such an entry."""
        log = self._replica.log
        # Of what is compacted away, here or there, nobody can tell any more what it was.
        is_known = bool(entry_term) and log.term(index) is not None
        return index > log.last_index or (is_known and log.term(index) != entry_term)

    # --- what is said of it ---

    def contradict(self, member: int, index: int, nonce: int = 0) -> None:
        """Tell a member that it is at odds with the entry that is committed here."""
        entry_term = self._replica.log.term(index) or 0
        self.at_odds.append(member)
        term = self._elector.term
        self._outbox.say(Contradiction(self._own_id, member, term, index, entry_term, nonce))

    def _ask_back(self, member: int, index: int, now_ms: int, acknowledged: bool = False) -> None:
        """Have a member say again what may end this one, or accuse that one; not all the time."""
        asked = self._asked.get(member)
        if asked is not None and now_ms - asked.since_ms < self._ask_again_ms:
            return
        self.at_odds.append(member)
        nonce = 1 + self._draw(NONCES)
        self._asked[member] = _Question(nonce, now_ms, acknowledged)
        term = self._elector.term
        self._outbox.say(Doubt(self._own_id, member, term, index, nonce, acknowledged))

    def take_word(
        self, message: Contradiction | Confession | Doubt, now_ms: int
    ) -> Contradicted | None:
        """Another member says that this one is wrong, or that it is itself; how this one ends."""
        match message:
            case Doubt(source, _, _, index, nonce, acknowledged):
                counts = not acknowledged or self._counts_on(source, index)
                if counts and index <= self._replica.commit:
                    self.contradict(source, index, nonce)
            case Contradiction(source, _, _, index, entry_term, 0):
                if self._is_at_odds(index, entry_term):
                    self._ask_back(source, index, now_ms)
            case Confession(source, _, _, index, 0):
                self._ask_back(source, index, now_ms)
            case Contradiction() | Confession():
                return self._take_answer(message)
            case _:
                assert_never(message)
        return None

    def _counts_on(self, member: int, index: int) -> bool:
        """Whether that member has acknowledged this to the leader that this one is."""
        role = self._elector.role
        peer = role.peers.get(member) if isinstance(role, Leader) else None
        return peer is not None and peer.match >= index

    def _take_answer(self, message: Contradiction | Confession) -> Contradicted | None:
        asked = self._asked.get(message.source)
        if asked is None or asked.nonce != message.nonce:
            return None
        del self._asked[message.source]
        if isinstance(message, Confession):
            self._accuse(message.source)
        elif self._is_at_odds(message.index, message.entry_term):
            return self._judge(message, asked.acknowledged)
        return None

    def _judge(self, told: Contradiction, acknowledged: bool) -> Contradicted | None:
        """Who of two members at odds is wrong; `told` is certain."""
        index, source, entry_term = told.index, told.source, told.entry_term
        own_term = self._replica.log.term(index) or 0
        is_lacking = index > self._replica.log.last_index
        is_committed = index <= self._replica.commit
        if is_lacking and acknowledged:
            return Contradicted(index, 0, 0, source)
        if not is_lacking and is_committed and own_term < entry_term:
            self._accuse(source)
            self.contradict(source, index)
        elif isinstance(self._elector.role, Leader) or (is_committed and entry_term):
            # A follower may lack much, and hold much that others replace; a leader may not.
            return Contradicted(index, entry_term, own_term, source)
        return None

    def _accuse(self, member: int) -> None:
        if member not in self.accused:
            self.accused.append(member)

    # --- what the wrong one says ---

    def confess(self, ending: Contradicted, members: frozenset[int]) -> None:
        """Tell the other members, who raise the alarm; once may be too few."""
        # At once, whatever is saved: what it confesses stays true through any crash.
        term = self._elector.term
        self._outbox.messages += [
            Confession(self._own_id, other, term, ending.index)
            for other in sorted(members - {self._own_id})
        ]

    def confess_to(self, doubt: Doubt, ending: Contradicted) -> None:
        """Another member asks whether it is this one that says so."""
        term = self._elector.term
        answer = Confession(self._own_id, doubt.source, term, ending.index, doubt.nonce)
        self._outbox.messages.append(answer)

    # --- what is told of it ---

    def take_accused(self) -> tuple[int, ...]:
        """The members that have been found wrong since the last call."""
        accused, self.accused = tuple(self.accused), []
        return accused

    def take_at_odds(self, leader: Leader | None) -> tuple[int, ...]:
        """Those at odds with this member since the last call, as its leadership has seen, too."""
        at_odds, self.at_odds = set(self.at_odds), []
        if leader is not None:
            at_odds |= leader.at_odds
            leader.at_odds.clear()
        return tuple(sorted(at_odds))
