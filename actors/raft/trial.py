"""Trial: what follows when two logs contradict each other, and which of the two is wrong.

An entry that a member has committed is in the log of every later leader (5.4.3). If a leader's log
lacks it, or has another entry there, some disk has forgotten promises: it was rolled back, or
exchanged. Neither member truncates its log or stops at once. The member that sees the contradiction
tells the other: "at this index I have committed an entry of this term". The other compares:

* A leader that lacks the entry is wrong: a disk that had forgotten voted for it.
* If both have an entry there, the one of the later term is wrong: the leader of that term had to
  hold the other entry. Its member stops. A member that has committed the entry of the earlier term
  says so in turn.
* A member that lacks an entry of which its leader knows the acknowledgement is wrong by itself.

The wrong member says so to all others before it stops, and they raise an alarm.

Nothing of this is believed because a frame says so: any process can send frames under a member's
name. A member that hears something which would stop it, or raise an alarm, asks back with a random
number, at the address where the other member is known to be. Only an answer with that number
counts. Refuses to know what an end means for this member's role and messages: that is RaftCore's.
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
    """A question under way; `acknowledged`: it is about an acknowledgement to the member asked."""

    nonce: int
    since_ms: int
    acknowledged: bool


class Trial:
    """One member's part. `accused` are members whose log is wrong, and `at_odds` those whose log
    contradicts this one, since they were last taken."""

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
        """Whether a leader may count an answer: not if it contradicts this leader's log."""
        index, entry_term = message.hint_index, message.hint_term
        if message.rejected or not index or not self._is_at_odds(index, entry_term):
            return True
        self._ask_back(message.source, index, now_ms)
        return False

    def lacks(self, beat: Heartbeat, now_ms: int) -> bool:
        """Whether a leader counts on an acknowledged entry that this log no longer holds."""
        if beat.commit <= self._replica.log.last_index:
            return False
        self._ask_back(beat.source, beat.commit, now_ms, acknowledged=True)
        return True

    def _is_at_odds(self, index: int, entry_term: int) -> bool:
        """Whether this log contradicts a committed entry of `entry_term` (0: not known)."""
        log = self._replica.log
        # An entry that is compacted away, here or there, can no longer be compared.
        is_known = bool(entry_term) and log.term(index) is not None
        return index > log.last_index or (is_known and log.term(index) != entry_term)

    # --- what is said of it ---

    def contradict(self, member: int, index: int, nonce: int = 0) -> None:
        """Tell a member that its log contradicts the entry at `index` that is committed here."""
        entry_term = self._replica.log.term(index) or 0
        self.at_odds.append(member)
        term = self._elector.term
        self._outbox.say(Contradiction(self._own_id, member, term, index, entry_term, nonce))

    def _ask_back(self, member: int, index: int, now_ms: int, acknowledged: bool = False) -> None:
        """Ask a member to repeat what may stop this one, or accuse that one; once a heartbeat."""
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
        """Take what another member says of its log or this one; returns why this one must stop."""
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
        """Whether this member leads, and that one has acknowledged `index` to it."""
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
        """Decide which of the two members is wrong; `told` is known to come from the other."""
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
            # A follower's log may lack entries, and hold some that will be replaced. A leader's may
            # not, and neither may committed entries.
            return Contradicted(index, entry_term, own_term, source)
        return None

    def _accuse(self, member: int) -> None:
        if member not in self.accused:
            self.accused.append(member)

    # --- what a wrong member says ---

    def confess(self, ending: Contradicted, members: frozenset[int]) -> None:
        """Tell the other members, which raise an alarm. Repeated, for a message may be lost."""
        # It need not wait for a save: what it confesses stays true through any crash.
        term = self._elector.term
        self._outbox.messages += [
            Confession(self._own_id, other, term, ending.index)
            for other in sorted(members - {self._own_id})
        ]

    def confess_to(self, doubt: Doubt, ending: Contradicted) -> None:
        """Answer a member that asks whether the confession came from this one."""
        term = self._elector.term
        answer = Confession(self._own_id, doubt.source, term, ending.index, doubt.nonce)
        self._outbox.messages.append(answer)

    # --- what is told of it ---

    def take_accused(self) -> tuple[int, ...]:
        """The members found wrong since the last call."""
        accused, self.accused = tuple(self.accused), []
        return accused

    def take_at_odds(self, leader: Leader | None) -> tuple[int, ...]:
        """The members at odds with this one since the last call, also those `leader` has seen."""
        at_odds, self.at_odds = set(self.at_odds), []
        if leader is not None:
            at_odds |= leader.at_odds
            leader.at_odds.clear()
        return tuple(sorted(at_odds))
