"""Narrator: the facts of one member in words, with its fields: what people read of an election.

Each text is a sentence whose subject is this member, unless it names another. The kinds and their
fields are those of cluster/logs.py. Refuses to know where it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from actors.language.lines import ToldLine, Weight
from actors.language.members import NOBODY
from actors.raft.elector import Elector
from actors.raft.facts import (
    Cause,
    Elected,
    Fact,
    Follows,
    LateHeartbeats,
    NearMiss,
    PeerFound,
    PeerLost,
    SnapshotGivenUp,
    SnapshotSent,
    Stood,
    Suspected,
    Voted,
    VoteRefusal,
)
from actors.raft.names import Names
from actors.raft.roster import Roster

FOLLOWER: Final = "follower"
LEARNER: Final = "learner"

_KB: Final = 1_000
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class Narrator:
    """Tells what an elector's facts are; `configured` are the members' names by the flags.

    `role` is the one that was told last. `near_misses` counts those that were told.
    """

    def __init__(self, elector: Elector, roster: Roster, configured: Mapping[int, str]) -> None:
        self._facts = elector.facts
        self._roster = roster
        self.names = Names(configured)
        self.role = ""
        self.near_misses = 0

    def take(self) -> Iterator[ToldLine]:
        """What is told of all that was noted since the last call, in order."""
        for fact in self._facts.take():
            yield from self.tell(fact)

    def tell(self, fact: Fact) -> Iterator[ToldLine]:
        """What is told of a fact, in order."""
        match fact:
            case Suspected():
                yield self._suspected(fact)
            case Stood():
                yield from self._stood(fact)
            case Voted():
                yield self._voted(fact)
            case Elected():
                yield self._elected(fact)
                yield from self.in_role("leader", fact.term)
            case Follows():
                yield from self._follows(fact)
            case NearMiss():
                yield self._near_miss(fact)
            case LateHeartbeats(late_ms):
                text = f"sent its heartbeats {late_ms} ms late: it did not run meanwhile"
                fields = {"what": "heartbeats", "took_ms": late_ms}
                yield ToldLine("slow", text, Weight.WARNING, fields, "slow heartbeats")
            case PeerLost() | PeerFound():
                yield self._peer(fact)
            case SnapshotSent():
                yield self._snapshot(fact)
            case SnapshotGivenUp(member):
                text = f"{self.names.of(member)} does not acknowledge its snapshot: begins again"
                yield ToldLine("", text, Weight.WARNING, {})
            case _:
                assert_never(fact)

    def in_role(self, role: str, term: int) -> Iterator[ToldLine]:
        """The member is in a role from now on, which is told if it is another one."""
        if role == FOLLOWER and self._roster.is_learner:
            role = LEARNER
        if role != self.role:
            self.role = role
            text = f"is now a {role.replace('_', '-')}, in term {term}"
            yield ToldLine("role", text, Weight.DETAIL, {"role": role, "term": term})

    def look(self, term: int) -> Iterator[ToldLine]:
        """Tell the role if it is another one by what the log says now: a learner gains its vote."""
        yield from self.in_role(FOLLOWER if self.role in ("", LEARNER) else self.role, term)

    # --- elections ---

    def _suspected(self, fact: Suspected) -> ToldLine:
        leader, how, term, silent_ms = fact
        name = self.names.of(leader)
        match how:
            case "connection":
                why = f"its connection closed, {silent_ms} ms after its last word"
                text = f"{name} (leader) fell silent: {why}"
            case "timeout":
                text = f"{name} (leader) fell silent: no word from it for {silent_ms} ms"
            case "transfer":
                text = f"{name} (leader) hands over to this member"
            case _:
                assert_never(how)
        weight = Weight.NEWS if how == "transfer" else Weight.WARNING
        fields = {"leader": name, "how": how, "term": term, "silent_ms": silent_ms}
        return ToldLine("suspected", text, weight, fields)

    def _stood(self, fact: Stood) -> Iterator[ToldLine]:
        term, pre, asked, may_win = fact
        whom, fields = self.names.listed(asked), {"term": term, "pre": pre}
        if not may_win:
            text = f"hears no leader, and asks {whom} whether it is still a member"
        elif not asked:
            text = f"has nobody to ask for {'pre-votes for' if pre else 'votes in'} term {term}"
        elif pre:
            text = f"asks {whom} for pre-votes for term {term}"
        else:
            text = f"asks {whom} for votes in term {term}"
        yield ToldLine("asked_for_votes", text, Weight.NEWS, fields)
        if may_win:
            yield from self.in_role("pre_candidate" if pre else "candidate", term)

    def _voted(self, fact: Voted) -> ToldLine:
        candidate, term, pre, refusal, other = fact
        name, vote = self.names.of(candidate), "a pre-vote for" if pre else "its vote in"
        granted = refusal is None
        match refusal:
            case None:
                why = f"the log of {name} is up to date"
            case VoteRefusal.HEARS_LEADER:
                why = f"it hears the leader, {self.names.of(other)}"
            case VoteRefusal.HAS_VOTED:
                why = f"it has voted for {self.names.of(other)}"
            case VoteRefusal.LOG_BEHIND:
                why = f"the log of {name} is behind"
            case VoteRefusal.ON_PROBATION:
                why = "it may have forgotten what it promised"
            case VoteRefusal.PAST_TERM:
                why = f"term {term} is past"
            case _:
                assert_never(refusal)
        text = f"{'gives' if granted else 'refuses'} {name} {vote} term {term}: {why}"
        fields = {"candidate": name, "term": term, "pre": pre, "granted": granted, "why": why}
        return ToldLine("voted", text, Weight.NEWS, fields)

    def _elected(self, fact: Elected) -> ToldLine:
        term, votes, took_ms = fact
        text = f"leads term {term}: elected by {self.names.listed(votes)} in {took_ms} ms"
        fields = {"term": term, "votes": self.names.of_all(votes), "took_ms": took_ms}
        return ToldLine("elected", text, Weight.NEWS, fields)

    def _follows(self, fact: Follows) -> Iterator[ToldLine]:
        leader, term, led, _, _ = fact
        if led:
            why = self._why(fact)
            text = f"leads no longer, and is in term {term}: {why}"
            yield ToldLine("stepped_down", text, Weight.WARNING, {"term": term, "why": why})
        if leader != NOBODY:
            name = self.names.of(leader)
            text = f"follows {name}, the leader of term {term}"
            yield ToldLine("follows", text, Weight.NEWS, {"leader": name, "term": term})
        yield from self.in_role(FOLLOWER, term)

    def _why(self, fact: Follows) -> str:
        """Why it leads no longer."""
        name = self.names.of(fact.source)
        match fact.cause:
            case Cause.LEADER:
                return f"{name} leads term {fact.term}"
            case Cause.NEWER_TERM:
                return f"{name} is in term {fact.term}"
            case Cause.HANDED_OVER:
                return f"it has handed over to {name}"
            case Cause.NO_QUORUM:
                return "it hears no majority of the voters"
            case Cause.REMOVED:
                return "it is removed from the cluster"
            case Cause.WRONG_LOG:
                return "its log contradicts what is committed"
            case Cause.OUTVOTED | Cause.MAY_NOT_STAND:
                raise AssertionError("these happen to members that do not lead")
            case _:
                assert_never(fact.cause)

    def _near_miss(self, fact: NearMiss) -> ToldLine:
        self.near_misses += 1
        leader, silent_ms, timeout_ms = fact
        name = self.names.of(leader)
        text = (
            f"the heartbeat of {name} (leader) came {silent_ms} ms after its last word: after"
            f" {timeout_ms} ms this member stands for election"
        )
        fields = {"leader": name, "silent_ms": silent_ms, "timeout_ms": timeout_ms}
        return ToldLine("near_miss", text, Weight.WARNING, fields, f"near miss of {name}")

    # --- others ---

    def _peer(self, fact: PeerLost | PeerFound) -> ToldLine:
        name = self.names.of(fact.member)
        match fact:
            case PeerLost(_, how):
                why = "its connection closed" if how == "connection" else "it is silent"
                text = f"{name} does not answer: {why}"
                return ToldLine("peer_lost", text, Weight.WARNING, {"peer": name, "how": how})
            case PeerFound(_, away_ms):
                text = f"{name} answers"
                if away_ms is not None:
                    text += f" again, after {away_ms} ms"
                return ToldLine("peer_found", text, Weight.NEWS, {"peer": name, "away_ms": away_ms})

    def _snapshot(self, fact: SnapshotSent) -> ToldLine:
        member, done, total = fact
        name = self.names.of(member)
        text = f"sends its data to {name}, which lags: {_size(done)} of {_size(total)}"
        fields = {"peer": name, "done_bytes": done, "total_bytes": total}
        weight = Weight.NEWS if done in (0, total) else Weight.DETAIL
        return ToldLine("snapshot_sent", text, weight, fields)


def _size(number: int) -> str:
    """A number of bytes, short: 4.2 MB."""
    amount, unit = float(number), 0
    while amount >= _KB and unit < len(_UNITS) - 1:
        amount, unit = amount / _KB, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{number} {_UNITS[0]}"
