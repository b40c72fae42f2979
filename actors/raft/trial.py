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
that member is known to be reached; only an answer with that number counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from actors.raft.leader import Leader
from actors.raft.outcome import Contradicted, CoreConfig, Recovered, Removed
from actors.raft.proof import Proof
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    Confession,
    Contradiction,
    Doubt,
    Heartbeat,
    RemovedNotice,
)

NONCES: Final = 1 << 62


class _Asked(NamedTuple):
    """A question that is under way to a member; whether it is about what was acknowledged to it."""

    nonce: int
    since_ms: int
    acknowledged: bool


class Trial(Proof):
    """One member's part in it."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        super().__init__(config, recovered, now_ms, chance)
        self._draw = chance
        self._asked: dict[int, _Asked] = {}
        self._accused: list[int] = []
        self._at_odds: list[int] = []

    # --- what is seen ---

    def _follow_log(self, message: AppendRequest) -> None:
        """Take a leader's append, unless it is at odds with what is committed here."""
        index = self.replica.contradiction(message)
        if index is None:
            self._promise(self.replica.accept(message))
        else:
            self._contradict(message.source, index)

    def _heeds(self, message: AppendResponse, now_ms: int) -> bool:
        """Whether a leader may count an answer: not if it shows that this log is not whole."""
        index, entry_term = message.hint_index, message.hint_term
        if message.rejected or not index or not self._is_at_odds(index, entry_term):
            return True
        self._ask_back(message.source, index, now_ms)
        return False

    def _lacks(self, beat: Heartbeat, now_ms: int) -> bool:
        """Whether a leader counts on an acknowledgement of what is not here any more."""
        if beat.commit <= self.replica.log.last_index:
            return False
        self._ask_back(beat.source, beat.commit, now_ms, acknowledged=True)
        return True

    def _is_at_odds(self, index: int, entry_term: int) -> bool:
        """Whether the log here is not that of who has committed such an entry."""
        log = self.replica.log
        # Of what is compacted away, here or there, nobody can tell any more what it was.
        is_known = bool(entry_term) and log.term(index) is not None
        return index > log.last_index or (is_known and log.term(index) != entry_term)

    # --- what is said of it ---

    def _contradict(self, member: int, index: int, nonce: int = 0) -> None:
        entry_term = self.replica.log.term(index) or 0
        self._at_odds.append(member)
        own_id = self.config.member_id
        self._say(Contradiction(own_id, member, self.term, index, entry_term, nonce))

    def _ask_back(self, member: int, index: int, now_ms: int, acknowledged: bool = False) -> None:
        """Have a member say again what may end this one, or accuse that one; not all the time."""
        asked = self._asked.get(member)
        if asked is not None and now_ms - asked.since_ms < self.config.heartbeat_ms:
            return
        self._at_odds.append(member)
        nonce = 1 + self._draw(NONCES)
        self._asked[member] = _Asked(nonce, now_ms, acknowledged)
        own_id = self.config.member_id
        self._say(Doubt(own_id, member, self.term, index, nonce, acknowledged))

    def _take_word(
        self, message: RemovedNotice | Contradiction | Confession | Doubt, now_ms: int
    ) -> None:
        """Another member says that this one is wrong, or that it is itself."""
        match message:
            case RemovedNotice():
                self._ending = self._ending or Removed()
            case Doubt(source, _, _, index, nonce, acknowledged):
                counts = not acknowledged or self._counts_on(source, index)
                if counts and index <= self.replica.commit:
                    self._contradict(source, index, nonce)
            case Contradiction(source, _, _, index, entry_term, 0):
                if self._is_at_odds(index, entry_term):
                    self._ask_back(source, index, now_ms)
            case Confession(source, _, _, index, 0):
                self._ask_back(source, index, now_ms)
            case Contradiction() | Confession():
                self._take_answer(message, now_ms)
            case _:
                assert_never(message)

    def _counts_on(self, member: int, index: int) -> bool:
        """Whether that member has acknowledged this to the leader that this one is."""
        peer = self.role.peers.get(member) if isinstance(self.role, Leader) else None
        return peer is not None and peer.match >= index

    def _take_answer(self, message: Contradiction | Confession, now_ms: int) -> None:
        asked = self._asked.get(message.source)
        if asked is None or asked.nonce != message.nonce:
            return
        del self._asked[message.source]
        if isinstance(message, Confession):
            self._accuse(message.source)
        elif self._is_at_odds(message.index, message.entry_term):
            self._judge(message, asked.acknowledged, now_ms)

    def _judge(self, told: Contradiction, acknowledged: bool, now_ms: int) -> None:
        """Who of two members at odds is wrong; `told` is certain."""
        index, source, entry_term = told.index, told.source, told.entry_term
        own_term = self.replica.log.term(index) or 0
        is_lacking = index > self.replica.log.last_index
        is_committed = index <= self.replica.commit
        if is_lacking and acknowledged:
            self._end(Contradicted(index, 0, 0, source), now_ms)
        elif not is_lacking and is_committed and own_term < entry_term:
            self._accuse(source)
            self._contradict(source, index)
        elif isinstance(self.role, Leader) or (is_committed and entry_term):
            # A follower may lack much, and hold much that others replace; a leader may not.
            self._end(Contradicted(index, entry_term, own_term, source), now_ms)

    def _accuse(self, member: int) -> None:
        if member not in self._accused:
            self._accused.append(member)

    def _confess(self) -> None:
        """Tell the others, who raise the alarm; once may be too few."""
        own_id, ending = self.config.member_id, self._ending
        if isinstance(ending, Contradicted):
            others = self._configuration().members() - {own_id}
            self._messages += [
                Confession(own_id, other, self.term, ending.index) for other in sorted(others)
            ]

    def _confess_to(self, doubt: Doubt) -> None:
        """Another member asks whether it is this one that says so."""
        if isinstance(self._ending, Contradicted):
            own_id, index = self.config.member_id, self._ending.index
            answer = Confession(own_id, doubt.source, self.term, index, doubt.nonce)
            self._messages.append(answer)

    def _take_accused(self) -> tuple[int, ...]:
        accused, self._accused = tuple(self._accused), []
        return accused

    def _take_at_odds(self) -> tuple[int, ...]:
        at_odds, self._at_odds = set(self._at_odds), []
        if isinstance(self.role, Leader):
            at_odds |= self.role.at_odds
            self.role.at_odds.clear()
        return tuple(sorted(at_odds))
